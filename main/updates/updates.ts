import { EventEmitter } from 'node:events';
import type { Logger } from '../../app/log.ts';
import { type LookRecord, readLook, writeLook } from './look-record.ts';
import type { latestRelease } from './release-feed.ts';
import { type Repository, releasePage } from './repository.ts';
import { isOffered, versionOfTag } from './version.ts';

/** How long after the start the releases are looked at first: what a person waits for comes before that. */
const FIRST_LOOK_MS = 10_000;
const DAY_MS = 24 * 60 * 60 * 1_000;
/** A look that got no answer is made up for after so long. */
const RETRY_MS = 60 * 60 * 1_000;

interface UpdatesParts {
  /** Where releases are published; `undefined`: nowhere that is known, so nothing is ever looked at. */
  readonly repository: Repository | undefined;
  /** This program's version. */
  readonly version: string;
  /** Where the last look is kept. */
  readonly file: string;
  readonly look: (
    repository: Repository,
    last: { readonly etag: string | undefined },
  ) => ReturnType<typeof latestRelease>;
  /** Whether the person wants new versions to be looked for. */
  readonly wanted: () => boolean;
  /** `false` when there is no network at all. */
  readonly online: () => boolean;
  readonly log: Logger;
}

/**
 * Looks once a day at most, over all starts, whether there is a newer version; whatever goes wrong with that is not worth
 * a word to anybody. Emits `change` when {@link Updates.available} may say something else.
 */
export class Updates extends EventEmitter<{ change: [] }> {
  readonly #parts: UpdatesParts;
  #record: LookRecord | undefined;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  #writing: Promise<void> | undefined;
  #state: 'new' | 'started' | 'closed' = 'new';
  /** On a clock that nobody sets, in milliseconds: when a look that got no answer may be made up for. */
  #retryAt = 0;

  constructor(parts: UpdatesParts) {
    super();
    this.#parts = parts;
  }

  /** Whether this build knows where its releases are published. */
  get canLook(): boolean {
    return this.#parts.repository !== undefined;
  }

  /** The latest version, when it is one to be offered. */
  get available(): string | undefined {
    const { version, wanted } = this.#parts;
    const latest = this.#record?.tag === undefined ? undefined : versionOfTag(this.#record.tag);
    return latest !== undefined && wanted() && isOffered(latest, version) ? latest : undefined;
  }

  /** The page of {@link Updates.available}. */
  get page(): URL | undefined {
    const { repository } = this.#parts;
    const tag = this.#record?.tag;
    return repository && tag !== undefined && this.available !== undefined
      ? releasePage(repository, tag)
      : undefined;
  }

  /** Says what is known from an earlier start; looks for the first time a little later. */
  async start(): Promise<void> {
    const { repository, file, log } = this.#parts;
    if (!repository) {
      log.debug('New versions are not looked for: package.json names no repository at GitHub');
      return;
    }
    const record = await readLook(file);
    if (this.#state === 'closed') return;
    if (record?.repository === nameOf(repository)) this.#record = record;
    this.#timer = setTimeout(() => {
      this.#state = 'started';
      void this.check();
    }, FIRST_LOOK_MS).unref();
    this.emit('change');
  }

  /**
   * Looks if it is time to. To be called when that may have become so other than by the passing of time: the machine was
   * asleep, the network is back, the person wants it now. Never rejects.
   */
  check(): Promise<void> {
    this.#looking ??= this.#check().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  /** Once resolved, nothing is written any more; a look under way is left to itself. */
  async close(): Promise<void> {
    this.#state = 'closed';
    clearTimeout(this.#timer);
    await this.#writing;
  }

  async #check(): Promise<void> {
    const { repository, wanted, online } = this.#parts;
    if (this.#state !== 'started' || !repository) return;
    clearTimeout(this.#timer);
    if (!wanted()) return;
    const now = Date.now();
    // The clock was set back: the look that lies in the future counts as one of now, so that there is neither one more
    // than there should be, nor none for as long.
    if (this.#record && this.#record.lookedAt > now) await this.#keep({ ...this.#record, lookedAt: now });
    const wait = Math.max(
      this.#record ? this.#record.lookedAt + DAY_MS - now : 0,
      this.#retryAt - performance.now(),
    );
    if (wait > 0) this.#checkAgainIn(wait);
    else if (online()) await this.#look(repository, now);
    else this.#checkAgainIn(RETRY_MS);
  }

  async #look(repository: Repository, now: number): Promise<void> {
    const { look, log } = this.#parts;
    const last = { tag: this.#record?.tag, etag: this.#record?.etag };
    try {
      const answer = await look(repository, { etag: last.etag });
      if (answer !== 'unchanged' && 'refused' in answer)
        log.debug('The releases could not be looked at', { reason: answer.refused });
      const found = answer === 'unchanged' || 'refused' in answer ? last : answer;
      await this.#keep({ repository: nameOf(repository), lookedAt: now, ...found });
      this.#checkAgainIn(DAY_MS);
    } catch (error) {
      log.debug('The releases could not be looked at', { reason: reasonOf(error) });
      this.#retryAt = performance.now() + RETRY_MS;
      this.#checkAgainIn(RETRY_MS);
    }
  }

  /** Holds a record, also when it cannot be written: then it lasts for this run. */
  async #keep(record: LookRecord): Promise<void> {
    const { file, log } = this.#parts;
    if (this.#state === 'closed') return;
    this.#record = record;
    this.emit('change');
    this.#writing = writeLook(file, record).catch((error: unknown) => {
      log.debug('The last look at the releases could not be kept', { reason: reasonOf(error) });
    });
    await this.#writing;
  }

  #checkAgainIn(ms: number): void {
    if (this.#state === 'started') this.#timer = setTimeout(() => void this.check(), ms).unref();
  }
}

function nameOf({ owner, name }: Repository): string {
  return `${owner}/${name}`;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
