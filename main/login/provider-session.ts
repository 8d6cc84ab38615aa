import { type CallbackResponse, type OnBeforeRequestListenerDetails, type Session, session } from 'electron';
import { browserUserAgent } from './user-agent.ts';

/**
 * The session in which a server's login pages are shown. Its cookies are kept apart from those of other servers, so that
 * two servers of one provider can have two accounts; and in memory alone, as they are worth as much as a login. They last
 * until the app is quit or {@link forgetProvider} is called, so that asking for more scope needs no second password.
 */
export function providerSession(serverId: string): Session {
  const own = session.fromPartition(`login ${serverId}`);
  own.setUserAgent(browserUserAgent(own.getUserAgent()));
  return own;
}

/** Forgets who was signed in at a server's provider. Call it when a person logs out, so that they can change accounts. */
export async function forgetProvider(serverId: string): Promise<void> {
  const own = providerSession(serverId);
  await Promise.all([own.clearStorageData(), own.clearAuthCache(), own.clearCache()]);
}

type Judge = (details: OnBeforeRequestListenerDetails, decide: (decision: CallbackResponse) => void) => void;

const judges = new WeakMap<Session, Judge>();

/**
 * Has each request of a session judged before it is sent. Electron knows one judge per session: a new one takes the
 * place of the old.
 * @returns a function that dismisses this judge, and no later one
 */
export function judgeRequests(own: Session, judge: Judge): () => void {
  judges.set(own, judge);
  own.webRequest.onBeforeRequest(judge);
  return () => {
    if (judges.get(own) !== judge) return;
    judges.delete(own);
    own.webRequest.onBeforeRequest(null);
  };
}
