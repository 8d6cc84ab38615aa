import { useId } from 'preact/hooks';
import type { LoginWay, ServerView } from '../../../main/view.ts';
import { texts } from '../../texts.ts';
import { Note } from '../parts/note.tsx';
import { ConnectRow } from './connect-row.tsx';
import { ServerActions } from './server-actions.tsx';
import { ServerDetails } from './server-details.tsx';
import { StateBadge } from './state-badge.tsx';
import { TokenTimes } from './token-times.tsx';

interface ServerCardProps {
  readonly server: ServerView;
  readonly preferredWay: LoginWay;
  /** Whether the details are shown from the start. */
  readonly detailed: boolean;
  onEdit(): void;
  onRemove(): void;
}

/** One server: how it stands, where clients reach it, and what can be done. */
export function ServerCard({ server, preferredWay, detailed, onEdit, onRemove }: ServerCardProps) {
  const heading = useId();
  const { fault, lastError, reason } = server;
  const said = [fault?.message, lastError?.message];
  return (
    <article class="card" aria-labelledby={heading}>
      <div class="card-head">
        <div class="card-title">
          <h3 id={heading}>{server.name}</h3>
          <p class="upstream">{server.upstream}</p>
        </div>
        <StateBadge server={server} />
      </div>
      <TokenTimes server={server} />
      {reason !== undefined && !said.includes(reason) && <p>{reason}</p>}
      {fault !== undefined && <Note tone="bad" message={fault.message} />}
      {lastError !== undefined && <Note tone="bad" message={lastError.message} cure={lastError.cure} />}
      {server.warnings.map((warning) => (
        <Note key={warning} tone="warn" message={warning} />
      ))}
      {fault === undefined && <ConnectRow server={server} />}
      <ServerActions server={server} preferredWay={preferredWay} onEdit={onEdit} onRemove={onRemove} />
      {server.source === 'environment' && <p class="hint">{texts.servers.environment}</p>}
      <ServerDetails server={server} open={detailed} />
    </article>
  );
}
