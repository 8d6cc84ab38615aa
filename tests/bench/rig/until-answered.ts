import { request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';

const POLL_MS = 2;
const PATIENCE_MS = 20_000;

/**
 * Asks until there is an answer, whatever it says.
 * @throws Error when there is none for 20 s
 */
export async function untilAnswered(url: string): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await isAnswered(url))) {
    if (performance.now() > deadline) throw new Error(`${url} does not answer`);
    await delay(POLL_MS);
  }
}

function isAnswered(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const asking = request(url, { agent: false }, (response) => {
      response.resume();
      resolve(true);
    });
    asking.once('error', () => resolve(false));
    asking.end();
  });
}
