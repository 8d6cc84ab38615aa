import { useId } from 'preact/hooks';

const PLAIN = { type: 'text', autocomplete: 'off' } as const;
// `off` is ignored by password managers, which would offer to fill in or to save.
const SECRET = { type: 'password', autocomplete: 'new-password' } as const;

interface FieldProps {
  readonly label: string;
  readonly value: string;
  onInput(value: string): void;
  readonly hint?: string | undefined;
  /** What is wrong with the value; said at the field. */
  readonly fault?: string | undefined;
  /** Not to be read by who looks over the shoulder. */
  readonly secret?: boolean;
  /** Further attributes of the input. */
  readonly input?: InputAttributes;
}

export interface InputAttributes {
  readonly name?: string;
  readonly inputMode?: 'text' | 'numeric' | 'url';
  readonly placeholder?: string;
  readonly autofocus?: boolean;
  readonly required?: boolean;
  readonly disabled?: boolean;
}

/** A labelled line of text with a hint and, when there is one, its fault. */
export function Field({ label, value, onInput, hint, fault, secret = false, input }: FieldProps) {
  const id = useId();
  const described = [hint && `${id}-hint`, fault && `${id}-fault`].filter(Boolean).join(' ');
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input
        {...input}
        {...(secret ? SECRET : PLAIN)}
        spellcheck={false}
        id={id}
        value={value}
        aria-invalid={fault === undefined ? undefined : true}
        aria-describedby={described || undefined}
        onInput={(event) => onInput(event.currentTarget.value)}
      />
      {fault !== undefined && <Fault id={`${id}-fault`} text={fault} />}
      {hint !== undefined && (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </div>
  );
}

/** What is wrong with a field. */
export function Fault({ id, text }: { id?: string; text: string }) {
  return (
    <p class="fault" id={id}>
      {text}
    </p>
  );
}
