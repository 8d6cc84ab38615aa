import * as v from 'valibot';
import { LOG_LEVELS } from '../../app/log.ts';
import { MCP_CLIENTS } from '../clients.ts';
import type { RequestChannel, Requests } from './contract.ts';

/** Nobody types more than this into one field; what the fields mean is checked where they are used. */
const MAX_TEXT = 8192;
const MAX_WAIT_SECONDS = 600;

const text = v.pipe(v.string(), v.maxLength(MAX_TEXT));
const id = v.pipe(v.string(), v.minLength(1), v.maxLength(200));
const nothing = v.undefined();
const server = v.strictObject({ id });
const loginWay = v.picklist(['popup', 'browser']);

const settings = v.strictObject({
  loginWay: v.exactOptional(loginWay),
  loginWaitSeconds: v.exactOptional(
    v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(MAX_WAIT_SECONDS)),
  ),
  loginOnDemand: v.exactOptional(v.boolean()),
  lookForNewVersions: v.exactOptional(v.boolean()),
  logLevel: v.exactOptional(v.picklist(LOG_LEVELS)),
});

const serverInput = v.strictObject({
  name: text,
  upstreamMcpUrl: text,
  port: text,
  scopes: text,
  profile: text,
  clientId: text,
  clientSecret: v.union([v.literal('keep'), v.strictObject({ value: text })]),
  authorizationEndpoint: text,
  tokenEndpoint: text,
  issuer: text,
  probePath: text,
});

/** The shape of every request; one that is missing or of another type than its channel's does not compile. */
const SCHEMAS: { readonly [C in RequestChannel]: v.GenericSchema<unknown, Requests[C]['request']> } = {
  'app:view': nothing,
  'app:change-settings': settings,
  'app:start-at-login': v.boolean(),
  'app:dismiss-notice': v.strictObject({ id }),
  'app:open-new-version': nothing,
  'app:reset': nothing,
  'calls:recent': nothing,
  'log:recent': nothing,
  'log:open': nothing,
  'server:check': v.strictObject({ url: text }),
  'server:form': server,
  'server:add': serverInput,
  'server:change': v.strictObject({ id, input: serverInput }),
  'server:move-port': v.strictObject({
    id,
    port: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65535)),
  }),
  'server:remove': server,
  'server:restart': server,
  'server:log-in': v.strictObject({ id, way: v.picklist(['popup', 'browser', 'preferred']) }),
  'server:cancel-login': server,
  'server:log-out': server,
  'server:copy-url': server,
  'server:copy-for-client': v.strictObject({ id, client: v.picklist(MCP_CLIENTS) }),
  'login:view': nothing,
  'login:use-browser': nothing,
  'login:try-again': nothing,
};

/**
 * A request as its channel defines it, made anew from the known members alone.
 * @returns `undefined` when it has another shape; a fault is told by its place and never by its value
 */
export function parseRequest<C extends RequestChannel>(
  channel: C,
  payload: unknown,
): { readonly request: Requests[C]['request'] } | { readonly fault: string } {
  const schema: v.GenericSchema<unknown, Requests[C]['request']> = SCHEMAS[channel];
  const result = v.safeParse(schema, payload, { abortEarly: true });
  if (result.success) return { request: result.output };
  return { fault: v.getDotPath(result.issues[0]) ?? 'the request' };
}
