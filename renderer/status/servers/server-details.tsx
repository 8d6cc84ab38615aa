import { useState } from 'preact/hooks';
import type { ServerView } from '../../../main/view.ts';
import { texts } from '../../texts.ts';

/** What one seldom wants to know of a server. */
export function ServerDetails({ server, open }: { server: ServerView; open: boolean }) {
  // Open or not is the person's choice from then on.
  const [initially] = useState(open);
  const facts: readonly (readonly [string, string | undefined])[] = [
    [texts.servers.scopes, server.scopes.join(' ') || undefined],
    [texts.servers.issuer, server.issuer],
    [texts.servers.refreshToken, loginLasts(server)],
    [texts.servers.store, server.store?.description],
  ];
  const known = facts.filter(([, fact]) => fact !== undefined);
  if (known.length === 0) return null;
  return (
    <details class="details" open={initially}>
      <summary>{texts.servers.details}</summary>
      <dl>
        {known.map(([term, fact]) => (
          <div key={term}>
            <dt>{term}</dt>
            <dd>{fact}</dd>
          </div>
        ))}
      </dl>
    </details>
  );
}

function loginLasts({ state, refreshTokenPresent }: ServerView): string | undefined {
  if (state !== 'authenticated') return undefined;
  return refreshTokenPresent ? texts.servers.refreshTokenPresent : texts.servers.refreshTokenAbsent;
}
