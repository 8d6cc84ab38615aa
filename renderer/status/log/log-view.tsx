import { useId, useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { LogLine } from '../../../main/ipc/contract.ts';
import { Copy } from '../../icons.tsx';
import { texts } from '../../texts.ts';
import { useUi } from '../ui.ts';
import { useFeed } from '../use-feed.ts';
import { copyText } from './copy-text.ts';
import { Line } from './line.tsx';

/** So many lines are kept; the file has the others. */
const KEPT_LINES = 1_000;
/** From the most severe one. */
const LEVELS: readonly LogLine['level'][] = ['error', 'warn', 'info', 'debug'];

/** The last lines of the log as they come. It stays at the end unless the person has scrolled away from it. */
export function LogView() {
  const { ask, announce, bridge, fail } = useUi();
  const [level, setLevel] = useState<LogLine['level']>('debug');
  const box = useRef<HTMLElement>(null);
  const atEnd = useRef(true);
  const levelId = useId();
  const lines = useFeed<LogLine>(
    async () => (await ask('log:recent'))?.value,
    (listener) => bridge.subscribe('log:new', listener),
    KEPT_LINES,
  );
  const shown = lines?.filter((line) => LEVELS.indexOf(line.level) <= LEVELS.indexOf(level)) ?? [];

  useLayoutEffect(() => {
    if (box.current && atEnd.current) box.current.scrollTop = box.current.scrollHeight;
  }, [lines, level]);

  function copy() {
    if (copyText(shown.map(({ text }) => text).join('\n'))) announce(texts.log.copied(shown.length));
    else fail(texts.log.copyFailed);
  }

  return (
    <>
      <div class="toolbar">
        <h2>{texts.log.title}</h2>
        <div class="buttons">
          <label for={levelId}>{texts.log.level}</label>
          <select
            id={levelId}
            value={level}
            onChange={({ currentTarget }) =>
              setLevel(LEVELS.find((one) => one === currentTarget.value) ?? 'debug')
            }
          >
            {LEVELS.map((one) => (
              <option key={one} value={one}>
                {texts.log.levels[one]}
              </option>
            ))}
          </select>
          <button
            type="button"
            class="button"
            aria-label={texts.log.copyLabel}
            disabled={shown.length === 0}
            onClick={copy}
          >
            <Copy />
            {texts.log.copy}
          </button>
          <button type="button" class="button" onClick={() => void ask('log:open')}>
            {texts.log.open}
          </button>
        </div>
      </div>
      {lines !== undefined && shown.length === 0 ? (
        <div class="empty">
          <p>{texts.log.empty}</p>
          <p class="quiet">{texts.log.emptyExplained}</p>
        </div>
      ) : (
        <section
          class="log"
          ref={box}
          aria-label={texts.log.lines}
          // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard (WCAG 2.1.1)
          tabIndex={0}
          onScroll={({ currentTarget: { scrollTop, scrollHeight, clientHeight } }) => {
            atEnd.current = scrollHeight - scrollTop - clientHeight < 8;
          }}
        >
          {shown.map((line) => (
            <Line key={line.number} line={line} />
          ))}
        </section>
      )}
    </>
  );
}
