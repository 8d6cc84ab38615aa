import { createContext } from 'preact';
import { useContext, useEffect } from 'preact/hooks';
import { Close, Tick } from '../../icons.tsx';
import { texts } from '../../texts.ts';
import { Note } from './note.tsx';

/** How long an outcome stays to be read, in milliseconds. */
const SHOWN_FOR_MS = 8_000;

/** Something that was said to the person; `number` tells two with the same text apart. */
export interface Message {
  readonly number: number;
  readonly text: string;
}

/** What is being said. */
export interface Said {
  readonly outcome: Message | undefined;
  readonly failure: Message | undefined;
  forgetOutcome(): void;
  forgetFailure(): void;
}

export const SaidContext = createContext<Said>({
  outcome: undefined,
  failure: undefined,
  forgetOutcome() {},
  forgetFailure() {},
});

/** Says failures, until they are dismissed. The region is always there, as screen readers want it to be. */
export function Failure() {
  const { failure, forgetFailure } = useContext(SaidContext);
  return (
    <div class="failure" role="alert">
      {failure !== undefined && (
        <Note key={failure.number} tone="bad" message={texts.trouble.actionFailed} cure={failure.text}>
          <button
            type="button"
            class="button icon-only"
            aria-label={texts.app.dismiss}
            onClick={forgetFailure}
          >
            <Close />
          </button>
        </Note>
      )}
    </div>
  );
}

/** Says outcomes for a while, and failures. */
export function Messages() {
  const { outcome, forgetOutcome } = useContext(SaidContext);
  // The time runs from each outcome anew, not from each rendering.
  useEffect(() => {
    if (outcome === undefined) return;
    const timer = setTimeout(forgetOutcome, SHOWN_FOR_MS);
    return () => clearTimeout(timer);
  }, [outcome]);

  return (
    <div class="messages">
      <Failure />
      <div role="status">
        {outcome !== undefined && (
          <p class="outcome" key={outcome.number}>
            <Tick />
            {outcome.text}
          </p>
        )}
      </div>
    </div>
  );
}
