/** Asked for when endpoints were entered by hand and nobody told what scopes there are. */
export const DEFAULT_SCOPES = 'mcp:tools mcp:resources offline_access';

const OFFLINE_ACCESS = 'offline_access';

export interface ScopeSources {
  /** `SCOPES`: wins over everything; only a step-up adds to it. */
  configured: string | undefined;
  /** The `scope` of the challenge: authoritative for the operation that met it. */
  challenged: string | undefined;
  /** `scopes_supported` of the protected resource metadata. */
  resource: readonly string[] | undefined;
  /** `scopes_supported` of the authorization server metadata; only `offline_access` is looked for. */
  server: readonly string[] | undefined;
  /** Whether the endpoints were entered by hand. */
  overridden: boolean;
  /** What a step-up must keep: scopes asked for or granted before (MCP authorization, step-up flow). */
  kept: string | undefined;
}

/**
 * The scope parameter of an authorization request, or `undefined` to leave it out.
 * Source: MCP authorization 2026-07-28, scope selection strategy; `offline_access` only where it is advertised.
 */
export function selectScope(sources: ScopeSources): string | undefined {
  if (sources.configured !== undefined)
    return unionOfScopes(sources.configured, sources.kept, sources.kept && sources.challenged);
  const supported = sources.resource?.length ? sources.resource.join(' ') : undefined;
  const first = sources.challenged ?? supported ?? (sources.overridden ? DEFAULT_SCOPES : undefined);
  const scope = unionOfScopes(sources.kept, first);
  if (scope === undefined || !sources.server?.includes(OFFLINE_ACCESS)) return scope;
  return unionOfScopes(scope, OFFLINE_ACCESS);
}

/** OpenID Connect Core §11: a request for `offline_access` must ask for consent. */
export function promptFor(scope: string | undefined): 'consent' | undefined {
  return scope?.split(' ').includes(OFFLINE_ACCESS) ? 'consent' : undefined;
}

/** Whether every scope of the second list is in the first. */
export function coversScope(scope: string | undefined, wanted: string | undefined): boolean {
  return unionOfScopes(scope, wanted) === unionOfScopes(scope);
}

/** Every scope of the given lists once, in order of first mention; `undefined` when there is none. */
export function unionOfScopes(...lists: ReadonlyArray<string | undefined>): string | undefined {
  const all = new Set(lists.flatMap((list) => list?.split(/\s+/) ?? []).filter((scope) => scope !== ''));
  return all.size > 0 ? [...all].join(' ') : undefined;
}
