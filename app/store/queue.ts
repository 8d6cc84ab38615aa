/** Runs a task after all tasks queued before it have settled; resolves and rejects as the task does. */
export type Queue = <T>(task: () => Promise<T>) => Promise<T>;

/** Makes a queue that runs one task at a time, in the order of the calls. */
export function createQueue(): Queue {
  let last: Promise<unknown> = Promise.resolve();
  return (task) => {
    const result = last.then(task);
    last = result.catch(() => undefined);
    return result;
  };
}
