import { once } from 'node:events';
import { watch } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

const CHUNK = 64 * 1024;
const NEWLINE = 0x0a;

export interface TailOptions {
  /** How many of the last lines to print. */
  readonly lines: number;
  /** Prints what is added later, too, until this signal; the file may be rotated, or come only later. */
  readonly follow?: AbortSignal | undefined;
}

/**
 * Copies the end of a text file to `out`.
 *
 * @returns `false` when there was no such file
 * @throws the file system's error when the file cannot be read
 */
export async function tail(path: string, out: NodeJS.WritableStream, options: TailOptions): Promise<boolean> {
  const reader = new TailReader(path, out);
  try {
    if (options.follow === undefined) return await reader.begin(options.lines);
    await follow(reader, path, options.lines, options.follow);
    return true;
  } finally {
    await reader.close();
  }
}

async function follow(reader: TailReader, path: string, lines: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  let changed = false;
  let wake = () => {};
  // The folder, since a rotated file is another file. Some network and container file systems send no events: look
  // once a second as well.
  const onChange = () => {
    changed = true;
    wake();
  };
  const watcher = watch(dirname(path), onChange).on('error', onChange);
  const poll = setInterval(onChange, 1_000);
  signal.addEventListener('abort', onChange);
  try {
    await reader.begin(lines);
    while (!signal.aborted) {
      if (!changed) await new Promise<void>((resolve) => (wake = resolve));
      changed = false;
      await reader.drain();
    }
  } finally {
    signal.removeEventListener('abort', onChange);
    clearInterval(poll);
    watcher.close();
  }
}

/** Reads one path onward, across truncation and replacement of the file. */
class TailReader {
  readonly #path: string;
  readonly #out: NodeJS.WritableStream;
  #file: FileHandle | undefined;
  #offset = 0;

  constructor(path: string, out: NodeJS.WritableStream) {
    this.#path = path;
    this.#out = out;
  }

  async begin(lines: number): Promise<boolean> {
    this.#file = await openIfThere(this.#path);
    if (this.#file === undefined) return false;
    this.#offset = await findLastLines(this.#file, lines);
    await this.drain();
    return true;
  }

  async drain(): Promise<void> {
    do await this.#copyRest();
    while (await this.#switchFile());
  }

  async close(): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
  }

  async #copyRest(): Promise<void> {
    if (this.#file === undefined) return;
    for (;;) {
      const { bytesRead, buffer } = await this.#file.read(Buffer.alloc(CHUNK), 0, CHUNK, this.#offset);
      if (bytesRead === 0) return;
      this.#offset += bytesRead;
      if (!this.#out.write(buffer.subarray(0, bytesRead))) await once(this.#out, 'drain');
    }
  }

  /** Goes on to the file that now has the path; `false` when it is still the same and no shorter. */
  async #switchFile(): Promise<boolean> {
    const now = await stat(this.#path).catch(() => undefined);
    if (now === undefined) return false;
    const open = await this.#file?.stat();
    if (open !== undefined && open.ino === now.ino && open.dev === now.dev) {
      if (now.size >= this.#offset) return false;
      this.#offset = 0;
      return true;
    }
    // What was written between the last read and the rotation.
    await this.#copyRest();
    await this.close();
    this.#file = await openIfThere(this.#path);
    this.#offset = 0;
    return this.#file !== undefined;
  }
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** @returns the offset, in bytes, at which the last `lines` lines begin. */
async function findLastLines(file: FileHandle, lines: number): Promise<number> {
  const { size } = await file.stat();
  if (lines <= 0) return size;
  let missing = lines;
  for (let end = size; end > 0; ) {
    const start = Math.max(0, end - CHUNK);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(end - start), 0, end - start, start);
    for (let at = bytesRead - 1; at >= 0; at -= 1) {
      // The newline that ends the last line begins no further one.
      if (buffer[at] !== NEWLINE || start + at === size - 1) continue;
      missing -= 1;
      if (missing === 0) return start + at + 1;
    }
    end = start;
  }
  return 0;
}
