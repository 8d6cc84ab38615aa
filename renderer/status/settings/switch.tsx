import { useId } from 'preact/hooks';
import { Fault } from '../parts/field.tsx';

interface SwitchProps {
  readonly label: string;
  readonly hint: string;
  readonly on: boolean;
  readonly disabled?: boolean;
  readonly fault?: string | undefined;
  onChange(on: boolean): void;
}

/** Something that is on or off, with one line on what that means. */
export function Switch({ label, hint, on, disabled = false, fault, onChange }: SwitchProps) {
  const id = useId();
  return (
    <div class="setting">
      <div>
        <label for={id}>{label}</label>
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
        {fault !== undefined && <Fault id={`${id}-fault`} text={fault} />}
      </div>
      <input
        type="checkbox"
        role="switch"
        class="switch"
        id={id}
        checked={on}
        disabled={disabled}
        aria-checked={on}
        aria-describedby={`${id}-hint${fault === undefined ? '' : ` ${id}-fault`}`}
        onChange={(event) => onChange(event.currentTarget.checked)}
      />
    </div>
  );
}
