/** Logins that are offered in a row for one operation before its refusal lasts (MCP authorization, step-up flow). */
export const MAX_STEP_UPS = 3;
/** Operations that are remembered; the oldest goes first. */
const MAX_OPERATIONS = 1_000;

/**
 * Counts, per operation, the logins that were to widen its scope and did not help. A refusal counts once per login: a
 * client that repeats its call does not use up the tries of a person who has not logged in yet.
 */
export class StepUps {
  readonly #tries = new Map<string, { rounds: number; login: number }>();

  /**
   * Notes that an operation was refused for want of scope.
   * @param operation what the call wants to do, e.g. `tools/call write_file`
   * @param login number of logins so far; tells a new login's refusal from a repeated one
   * @returns whether another login is worth a try
   */
  refused(operation: string, login: number): boolean {
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
