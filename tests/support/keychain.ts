import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface Fault {
  on: 'add-generic-password' | 'find-generic-password' | 'delete-generic-password';
  account?: string;
  times?: number;
  exit?: number;
  hang?: true;
  pretend?: true;
}

type Items = Record<string, Record<string, string>>;
type Call = { pid: number; start?: string; end?: string; args?: string[]; misuse?: string };

/** A Keychain of its own in a temporary folder, served by the stand-in of `security`. */
export interface StandInKeychain {
  securityBin: string;
  /** A folder for the locks of the stores on this Keychain. */
  lockFolder: string;
  /** Account -> secret, as it lies in the Keychain. */
  items(service: string): Promise<Record<string, string>>;
  plant(service: string, account: string, secret: string | Buffer): Promise<void>;
  setFaults(faults: readonly Fault[]): Promise<void>;
  calls(): Promise<Call[]>;
  remove(): Promise<void>;
}

export async function createStandInKeychain(): Promise<StandInKeychain> {
  const folder = await mkdtemp(join(tmpdir(), 'stand-in-keychain-'));
  const securityBin = join(folder, 'security');
  const script = fileURLToPath(new URL('security-stand-in.mjs', import.meta.url));
  await writeFile(
    securityBin,
    `#!/bin/sh\nSTAND_IN_FOLDER='${folder}' exec '${process.execPath}' '${script}' "$@"\n`,
  );
  await chmod(securityBin, 0o755);
  const itemsFile = join(folder, 'items.json');
  const read = async (): Promise<Items> => JSON.parse(await readFile(itemsFile, 'utf8').catch(() => '{}'));

  return {
    securityBin,
    lockFolder: join(folder, 'locks'),
    async items(service) {
      const own = (await read())[bytes(service)] ?? {};
      const decode = (secret: string) => Buffer.from(secret, 'base64').toString('latin1');
      return Object.fromEntries(Object.entries(own).map(([account, secret]) => [account, decode(secret)]));
    },
    async plant(service, account, secret) {
      const items = await read();
      items[bytes(service)] = {
        ...items[bytes(service)],
        [bytes(account)]: Buffer.from(secret).toString('base64'),
      };
      await writeFile(itemsFile, JSON.stringify(items));
    },
    setFaults: (faults) => writeFile(join(folder, 'faults.json'), JSON.stringify(faults)),
    async calls() {
      const log = await readFile(join(folder, 'calls.log'), 'utf8').catch(() => '');
      return log
        .split('\n')
        .filter((line) => line !== '')
        .map((line): Call => JSON.parse(line));
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

/** The stand-in knows names as bytes, as the original does. */
function bytes(name: string): string {
  return Buffer.from(name, 'utf8').toString('latin1');
}
