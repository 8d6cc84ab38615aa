import { useEffect, useState } from 'preact/hooks';
import type { Outcome, ServerInput } from '../../../main/ipc/contract.ts';
import type { ServerView } from '../../../main/view.ts';
import { useUi } from '../ui.ts';
import type { UpstreamReport } from './use-upstream-check.ts';

/** @see useAddServer */
export type AddServer = (
  input: ServerInput,
  report: UpstreamReport | undefined,
) => Promise<Outcome | undefined>;

/**
 * Adds a server, and opens its login as soon as it has started and turns out to need one, unless the look at it has
 * shown that there is none or that it does not answer.
 * @returns `undefined` when the main process gave no answer
 */
export function useAddServer(servers: readonly ServerView[]): AddServer {
  const { ask } = useUi();
  /** The servers there were before; the one that is to be logged in to is not among them. */
  const [known, setKnown] = useState<ReadonlySet<string> | undefined>(undefined);

  useEffect(() => {
    const added = known && servers.find(({ id }) => !known.has(id));
    if (!added || added.state === 'starting') return;
    setKnown(undefined);
    if (NEEDS_LOGIN.includes(added.state)) void ask('server:log-in', { id: added.id, way: 'preferred' });
  }, [servers, known, ask]);

  return async (input, report) => {
    const before = new Set(servers.map(({ id }) => id));
    const outcome = await ask('server:add', input);
    const wantsLogin = report === undefined || (report.kind === 'reachable' && report.login === 'required');
    if (outcome?.value.ok && wantsLogin) setKnown(before);
    return outcome?.value;
  };
}

const NEEDS_LOGIN: readonly ServerView['state'][] = ['logged_out', 'login_required', 'error'];
