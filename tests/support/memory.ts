import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** What this process holds in memory when its garbage is gone, in bytes. */
export async function memoryInUse(): Promise<{ objects: number; buffers: number }> {
  // What a collection frees is counted by the next one.
  for (let round = 0; round < 3; round++) {
    collectGarbage();
    await turn();
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return { objects: heapUsed, buffers: arrayBuffers };
}
