import type { ServerView } from '../../../main/view.ts';
import { expiryText, nextChange, refreshText } from '../../../main/words.ts';
import { texts } from '../../texts.ts';
import { useNow } from '../use-now.ts';

/** When the access token expires and was refreshed, in words that renew themselves; nothing where there is none. */
export function TokenTimes({ server }: { server: ServerView }) {
  const { accessTokenExpiresAt, lastRefresh, refreshTokenPresent } = server;
  const now = useNow((from) => nextChange({ until: [accessTokenExpiresAt], since: [lastRefresh?.at] }, from));
  // One that has ended is renewed by the next call, and nothing to be told of.
  const isTold = accessTokenExpiresAt !== undefined && !(refreshTokenPresent && accessTokenExpiresAt <= now);
  if (!isTold && lastRefresh === undefined) return null;
  return (
    <p class="times">
      {isTold && (
        <span title={exactly(accessTokenExpiresAt)}>
          {texts.servers.accessToken(expiryText(accessTokenExpiresAt, now))}
        </span>
      )}
      {lastRefresh !== undefined && (
        <span title={exactly(lastRefresh.at)}>{refreshText(lastRefresh, now)}</span>
      )}
    </p>
  );
}

function exactly(at: number): string {
  return new Date(at).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
}
