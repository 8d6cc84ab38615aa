import type { LogLine } from '../../../main/ipc/contract.ts';

const TIME = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });

/** One line of the log, with the time as it is here. The level is in the line as a word. */
export function Line({ line: { level, text } }: { line: LogLine }) {
  const parts = /^(\d{4}-\d\d-\d\dT[\d:.]+Z) +(error|warn|info|debug) +(.*)$/s.exec(text);
  const [, at = '', word = level, event = text] = parts ?? [];
  return (
    <p class={`log-line ${level}`}>
      {at !== '' && (
        <time dateTime={at} title={at}>
          {TIME.format(new Date(at))}
        </time>
      )}
      <span class="log-level">{word}</span>
      <span class="log-event">{event}</span>
    </p>
  );
}
