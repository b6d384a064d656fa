/** What is wrong with a text, and at which index. */
export interface Fault {
  readonly problem: string
  readonly at: number
}

/** A program that is no document may begin with it (Unicode 16, section 23.8). */
export const BYTE_ORDER_MARK = '\ufeff'
