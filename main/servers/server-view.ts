import type { Broker } from '../../app/broker.ts';
import { inWindowWords, portOf, shownName, shownUpstream } from '../settings/server-settings.ts';
import type { ServerFault, ServerView } from '../view.ts';
import type { ServerConfiguration } from './configuration.ts';

export type BrokerStatus = Awaited<ReturnType<Broker['status']>>;

/** What can be said of a server that does not run yet, or cannot. */
export function viewWithoutBroker(
  configuration: ServerConfiguration,
  fault: ServerFault | undefined,
): ServerView {
  const port = portOf(configuration.settings) || 0;
  return {
    ...described(configuration),
    state: fault ? 'failed' : 'starting',
    reason: fault?.message,
    port,
    mcpUrl: `http://127.0.0.1:${port}/mcp`,
    issuer: undefined,
    scopes: [],
    wantsMoreAccess: false,
    accessTokenExpiresAt: undefined,
    refreshTokenPresent: false,
    lastRefresh: undefined,
    lastError: undefined,
    fault,
    warnings: [],
    store: undefined,
  };
}

/** What a running broker says of itself, as people see it. */
export function viewOf(
  configuration: ServerConfiguration,
  broker: Pick<Broker, 'localUrl'>,
  status: BrokerStatus,
): ServerView {
  const refreshedAt = timeOf(status.last_refresh?.at);
  // A server from the environment is mended there.
  const said = configuration.source === 'environment' ? (text: string) => text : inWindowWords;
  const { reason, last_error: failure } = status;
  return {
    ...described(configuration),
    state: status.state,
    reason: reason && said(reason),
    port: Number(new URL(broker.localUrl).port || 80),
    mcpUrl: status.mcp_url,
    issuer: status.issuer,
    scopes: status.scopes.granted,
    wantsMoreAccess: status.step_up !== undefined,
    accessTokenExpiresAt: timeOf(status.access_token.expires_at),
    refreshTokenPresent: status.refresh_token.present,
    lastRefresh:
      status.last_refresh && refreshedAt !== undefined
        ? { at: refreshedAt, outcome: status.last_refresh.outcome }
        : undefined,
    lastError: failure && { message: said(failure.message), cure: said(failure.cure) },
    fault: undefined,
    warnings: status.warnings.map(said),
    store: status.store,
  };
}

function described(configuration: ServerConfiguration) {
  const { id, source, settings } = configuration;
  return { id, source, name: shownName(configuration), ...shownUpstream(settings) };
}

function timeOf(iso: string | undefined): number | undefined {
  return iso === undefined ? undefined : Date.parse(iso);
}
