import { appendFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { createFileStore } from '../../app/store/file.ts';
import { withLock } from '../../app/store/lock.ts';

/** What a worker process does on request; it answers every request with one line, `hold` with a second one. */
export type Request =
  | { task: 'set'; folder: string; account: string; value: string; passphrase?: string }
  | { task: 'hold'; folder: string; account: string }
  | { task: 'release' }
  | { task: 'take turns'; folder: string; account: string; log: string; times: number };
export type Answer = 'done' | 'held' | { error: { name: string; code: unknown; message: string } };

let release = () => {};

function answer(text: Answer): void {
  process.stdout.write(`${JSON.stringify(text)}\n`);
}

async function perform(request: Request): Promise<void> {
  switch (request.task) {
    case 'set':
      return createFileStore(request).set(request.account, request.value);
    case 'hold':
      return withLock(request.folder, request.account, () => {
        answer('held');
        return new Promise((resolve) => {
          release = resolve;
        });
      });
    case 'release':
      return release();
    case 'take turns':
      for (let turn = 0; turn < request.times; turn++) {
        await withLock(request.folder, request.account, async () => {
          await appendFile(request.log, `in ${process.pid}\n`);
          await appendFile(request.log, `out ${process.pid}\n`);
        });
      }
  }
}

createInterface({ input: process.stdin }).on('line', (line) => {
  perform(JSON.parse(line)).then(
    () => answer('done'),
    (error) => answer({ error: { name: error.name, code: error.code, message: error.message } }),
  );
});
