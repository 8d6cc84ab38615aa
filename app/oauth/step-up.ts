import { createHash } from 'node:crypto';
import { MAX_OPERATIONS, MAX_STEP_UPS } from '../limits.ts';

/**
 * Counts, per operation, the logins that were to widen its scope and did not help. A refusal counts once per login: a
 * client that repeats its call does not use up the tries of a person who has not logged in yet.
 */
export class StepUps {
  readonly #tries = new Map<string, { rounds: number; login: number }>();

  /**
   * Notes that an operation was refused for want of scope.
   * @param name what the call wants to do, e.g. `tools/call write_file`
   * @param login number of logins so far; tells a new login's refusal from a repeated one
   * @returns whether another login is worth a try
   */
  refused(name: string, login: number): boolean {
    // A part of the name would keep all of it in memory, and it is as long as the client likes.
    const operation = createHash('sha256').update(name).digest('base64');
    const before = this.#tries.get(operation) ?? { rounds: 0, login: Number.NaN };
    // Logins in between that were for something else begin a new row.
    const rounds =
      login === before.login ? before.rounds : login === before.login + 1 ? before.rounds + 1 : 1;
    this.#tries.delete(operation);
    this.#tries.set(operation, { rounds, login });
    const oldest = this.#tries.keys().next();
    if (this.#tries.size > MAX_OPERATIONS && !oldest.done) this.#tries.delete(oldest.value);
    return rounds <= MAX_STEP_UPS;
  }

  /** A logout forgets everything. */
  clear(): void {
    this.#tries.clear();
  }
}
