import { useEffect, useState } from 'preact/hooks';
import type { AppView } from '../../../main/view.ts';
import { texts } from '../../texts.ts';
import { useUi } from '../ui.ts';
import { Switch } from './switch.tsx';

/** Whether the app starts with the person's session; the operating system may refuse, so what it says is shown. */
export function StartAtLogin({ on }: { on: AppView['startAtLogin'] }) {
  const { ask } = useUi();
  const [wanted, setWanted] = useState<boolean | undefined>(undefined);

  useEffect(() => setWanted(undefined), [on]);

  async function change(next: boolean) {
    setWanted(next);
    if ((await ask('app:start-at-login', next)) === undefined) setWanted(undefined);
  }

  return (
    <Switch
      label={texts.settings.startAtLogin}
      hint={on === undefined ? texts.settings.startAtLoginUnavailable : texts.settings.startAtLoginHint}
      on={wanted ?? on ?? false}
      disabled={on === undefined}
      onChange={(next) => void change(next)}
    />
  );
}
