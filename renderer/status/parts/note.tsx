import type { ComponentChildren } from 'preact';
import { Cross, Newer, Offline, type Tone, Warning } from '../../icons.tsx';

const ICONS = { good: Newer, warn: Warning, bad: Cross, calm: Offline } as const;

interface NoteProps {
  readonly tone: Extract<Tone, keyof typeof ICONS>;
  /** What is the matter. */
  readonly message: string;
  /** What follows from it, or what to do. */
  readonly cure?: string | undefined;
  /** Buttons. */
  readonly children?: ComponentChildren;
}

/** A coloured box with an icon that says what is the matter and what to do. */
export function Note({ tone, message, cure, children }: NoteProps) {
  const Icon = ICONS[tone];
  return (
    <div class={`note ${tone}`}>
      <Icon />
      <div class="note-text">
        <p class="note-message">{message}</p>
        {cure !== undefined && cure !== '' && <p>{cure}</p>}
      </div>
      {children}
    </div>
  );
}
