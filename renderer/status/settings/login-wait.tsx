import { useId, useState } from 'preact/hooks';
import type { AppSettings } from '../../../main/view.ts';
import { texts } from '../../texts.ts';
import { Fault } from '../parts/field.tsx';
import { useSetting } from './use-setting.ts';

/** How long calls wait for a login. Applied when the field is left or Enter is pressed. */
export function LoginWait({ settings }: { settings: AppSettings }) {
  const { value, fault, change } = useSetting(settings, 'loginWaitSeconds');
  /** What is being typed; `undefined`: what holds. */
  const [typed, setTyped] = useState<string | undefined>(undefined);
  const [mistyped, setMistyped] = useState(false);
  const id = useId();
  const wrong = mistyped ? texts.settings.loginWaitFault : fault;

  function apply(text: string) {
    const seconds = /^\d+$/.test(text.trim()) ? Number(text) : undefined;
    const valid = seconds !== undefined && seconds <= 600;
    setMistyped(!valid);
    if (!valid) return;
    setTyped(undefined);
    if (seconds !== value) change(seconds);
  }

  return (
    <div class="setting">
      <div>
        <label for={id}>{texts.settings.loginWait}</label>
        <p class="hint" id={`${id}-hint`}>
          {texts.settings.loginWaitHint}
        </p>
        {wrong !== undefined && <Fault id={`${id}-fault`} text={wrong} />}
      </div>
      <div class="measure">
        <input
          type="text"
          inputMode="numeric"
          autocomplete="off"
          id={id}
          value={typed ?? String(value)}
          aria-invalid={wrong === undefined ? undefined : true}
          aria-describedby={`${id}-unit ${id}-hint${wrong === undefined ? '' : ` ${id}-fault`}`}
          onInput={(event) => setTyped(event.currentTarget.value)}
          onChange={(event) => apply(event.currentTarget.value)}
        />
        <span id={`${id}-unit`}>{texts.settings.seconds}</span>
      </div>
    </div>
  );
}
