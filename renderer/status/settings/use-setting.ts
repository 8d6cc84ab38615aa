import { useEffect, useState } from 'preact/hooks';
import type { AppSettings } from '../../../main/view.ts';
import { useUi } from '../ui.ts';

/** One setting in the window: what is shown, what was wrong with the last change, and how to change it. */
export interface Setting<T> {
  readonly value: T;
  readonly fault: string | undefined;
  change(value: T): void;
}

/** A setting that is applied at once; a change that is refused goes back to what holds. */
export function useSetting<K extends keyof AppSettings>(
  settings: AppSettings,
  name: K,
): Setting<AppSettings[K]> {
  const { ask } = useUi();
  const held = settings[name];
  const [wanted, setWanted] = useState<{ readonly value: AppSettings[K] } | undefined>(undefined);
  const [fault, setFault] = useState<string | undefined>(undefined);

  // A change has arrived, from here or elsewhere: what holds now is what is shown.
  useEffect(() => setWanted(undefined), [held]);

  async function change(value: AppSettings[K]) {
    setWanted({ value });
    setFault(undefined);
    const outcome = await ask('app:change-settings', { [name]: value });
    if (outcome?.value.ok) return;
    setWanted(undefined);
    if (outcome?.value.ok === false) setFault(Object.values(outcome.value.faults).join(' '));
  }

  return { value: wanted ? wanted.value : held, fault, change: (value) => void change(value) };
}
