import { rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { givenFolder } from './broker.ts';
import type { StandInKeychain } from './keychain.ts';

/** What happens at a call to the system; see fault-injection.mjs. */
export interface SystemFault {
  readonly call: 'mkdir' | 'open' | 'write' | 'fsync' | 'rename' | 'unlink' | 'utimes' | 'lookup';
  /** A regular expression for the path, or the name that is looked up. */
  readonly path?: string;
  readonly effect: 'fail' | 'kill' | 'kill after' | 'kill halfway' | 'answer';
  /** The system's error code, or the address that is answered with. */
  readonly code?: string;
}

/** Faults of the system that processes meet, from now on and until others are planned. */
export interface FaultPlan {
  /** What a process needs in its environment to meet them. */
  readonly environment: NodeJS.ProcessEnv;
  set(faults: readonly SystemFault[]): Promise<void>;
}

const INJECTION = new URL('fault-injection.mjs', import.meta.url).href;

/** A plan without faults yet, which ends with the test. */
export async function givenFaultPlan(): Promise<FaultPlan> {
  const file = path.join(await givenFolder(), 'plan.json');
  // Replaced in one step: a process may be reading it.
  const set = async (faults: readonly SystemFault[]) => {
    await writeFile(`${file}.next`, JSON.stringify(faults));
    await rename(`${file}.next`, file);
  };
  await set([]);
  return { environment: { NODE_OPTIONS: `--import=${INJECTION}`, FAULT_PLAN: file }, set };
}

/** A Keychain command that ends the process which runs it. */
export interface CrashingSecurity {
  readonly securityBin: string;
  /**
   * Ends that process once, at one of the commands to come.
   * @param on first argument of the command: `-i` writes, `find-generic-password` reads
   * @param nth counts such commands from 1
   */
  killAt(on: string, when: 'before' | 'after', nth?: number): Promise<void>;
}

/** Puts such a command before a Keychain's own; it ends with the test. */
export async function givenCrashingSecurity(keychain: StandInKeychain): Promise<CrashingSecurity> {
  const folder = await givenFolder();
  const securityBin = path.join(folder, 'security');
  const script = `#!/bin/sh
cd '${folder}'
on= when= left=0
[ -f plan ] && read -r on when left < plan
if [ "$1" = "$on" ] && [ "$left" -gt 0 ]; then
  left=$((left - 1))
  echo "$on $when $left" > plan
  [ "$left" = 0 ] && now=$when
fi
if [ "$now" = before ]; then kill -9 $PPID; exit 1; fi
'${keychain.securityBin}' "$@"
code=$?
[ "$now" = after ] && kill -9 $PPID
exit $code
`;
  await writeFile(securityBin, script, { mode: 0o755 });
  return {
    securityBin,
    killAt: (on, when, nth = 1) => writeFile(path.join(folder, 'plan'), `${on} ${when} ${nth}\n`),
  };
}
