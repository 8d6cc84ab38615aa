import { useId } from 'preact/hooks';
import type { CallView, ServerView } from '../../../main/view.ts';
import { texts } from '../../texts.ts';
import { useUi } from '../ui.ts';
import { useFeed } from '../use-feed.ts';
import { CallRow } from './call-row.tsx';

/** So many calls are shown. */
const SHOWN_CALLS = 200;

/** The last calls as they come, newest first, without their contents. */
export function ActivityView({ servers }: { servers: readonly ServerView[] }) {
  const { ask, bridge } = useUi();
  const heading = useId();
  const calls = useFeed<CallView>(
    async () => (await ask('calls:recent'))?.value,
    (listener) => bridge.subscribe('calls:new', listener),
    SHOWN_CALLS,
  );
  const names = new Map(servers.map(({ id, name }) => [id, name]));
  return (
    <>
      <div class="toolbar">
        <h2 id={heading}>{texts.activity.title}</h2>
        <p class="quiet">{texts.activity.explained}</p>
      </div>
      {calls?.length === 0 && (
        <div class="empty">
          <p>{texts.activity.empty}</p>
          <p class="quiet">{texts.activity.emptyExplained}</p>
        </div>
      )}
      {calls !== undefined && calls.length > 0 && (
        <table aria-labelledby={heading}>
          <thead>
            <tr>
              <th scope="col">{texts.activity.time}</th>
              <th scope="col">{texts.activity.server}</th>
              <th scope="col">{texts.activity.method}</th>
              <th scope="col">{texts.activity.result}</th>
              <th scope="col" class="number">
                {texts.activity.duration}
              </th>
            </tr>
          </thead>
          <tbody>
            {calls.toReversed().map((call) => (
              <CallRow
                key={call.number}
                call={call}
                server={names.get(call.serverId) ?? texts.activity.removedServer}
              />
            ))}
          </tbody>
        </table>
      )}
    </>
  );
}
