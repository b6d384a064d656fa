/** What is wrong with a text, and at which index. */
export interface Fault {
  readonly problem: string
  readonly at: number
}
