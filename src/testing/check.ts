/** One check of a conformance suite. It needs no test runner: it throws (an AssertionError of node:assert) when it fails. */
export interface Check {
  /** What holds when the check passes: "two frames in one read are two messages". */
  readonly name: string
  /** Its data is random and follows from the seed of the suite: each seed tries something else. */
  readonly random?: boolean
  run(): void | Promise<void>
}
