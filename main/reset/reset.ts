import type { LoginItem } from '../login-item.ts';
import type { Farewell } from '../servers/servers.ts';
import { shownName } from '../tray/status.ts';

export interface ResetParts {
  /** Logs out of all servers and ends them. Never rejects. */
  readonly forgetServers: () => Promise<readonly Farewell[]>;
  /** Resolves when nothing of this process writes any more. */
  readonly stopWriting: () => Promise<void>;
  readonly loginItem: LoginItem | undefined;
  readonly deleteKey: () => Promise<string | undefined>;
  readonly erase: () => Promise<readonly string[]>;
  /** Keeps for the next start what could not be undone. */
  readonly keep: (leftovers: readonly string[]) => Promise<void>;
}

/**
 * Takes everything back that the app has ever done on this computer and, as far as they let it, at the servers. What does
 * not work is told by the next start, and keeps nothing else from being done.
 */
export async function reset(parts: ResetParts): Promise<void> {
  const { forgetServers, stopWriting, loginItem, deleteKey, erase, keep } = parts;
  const leftovers = tellFarewells(await forgetServers());
  try {
    await loginItem?.set(false);
  } catch {
    leftovers.push('Start at login could not be turned off: turn it off in the settings of the system.');
  }
  const key = await deleteKey();
  if (key !== undefined) leftovers.push(key);
  await stopWriting();
  leftovers.push(...(await erase()));
  if (leftovers.length === 0) return;
  try {
    await keep(leftovers);
  } catch {
    // There is neither a log nor a window any more.
    process.stderr.write(`Not everything could be reset. ${leftovers.join(' ')}\n`);
  }
}

/** What the logouts have left behind, in sentences. */
function tellFarewells(farewells: readonly Farewell[]): string[] {
  const named = (outcome: Farewell['outcome']) =>
    farewells.filter((farewell) => farewell.outcome === outcome).map(shownName);
  const tell = (names: readonly string[], what: string, cure: string) =>
    names.length === 0 ? [] : [`${what}: ${names.join(', ')}. ${cure}`];
  return [
    ...tell(
      named('failed'),
      'Could not be told that your login has ended',
      'End it in your account there, too.',
    ),
    ...tell(named('not_supported'), 'Cannot be told that your login has ended', 'It ends there by itself.'),
    ...tell(
      named('misconfigured'),
      'Had a wrong setting, so that no login was looked for',
      'If there was one, end it in your account there.',
    ),
    ...tell(
      named('late'),
      'Could not be logged out in time',
      'The login may still be stored, and is to be ended in your account there.',
    ),
    ...farewells.flatMap((farewell) =>
      farewell.outcome === 'still_stored'
        ? [
            `The login of ${shownName(farewell)} is still stored here, and perhaps still good there. ${farewell.reason ?? ''}`.trim(),
          ]
        : [],
    ),
  ];
}
