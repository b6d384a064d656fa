import type { Client, Connection } from 'pg'

/**
 * Runs `COPY … FROM STDIN` with all its data at once. The package pg gives the answers of the server to whatever it was
 * handed as a query; this is the part of the protocol that pg itself does not speak, and too little for a package more.
 * @param data rows in the form that the statement names; the caller bounds its size
 * @returns resolves when the server has copied all rows
 * @throws what the server answered: then it has copied none
 * @see https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-COPY
 */
export function copyFrom(client: Client, statement: string, data: string): Promise<void> {
  return new Promise((resolve, reject) => {
    client.query(new CopyIn(statement, data, { resolve, reject }))
  })
}

/** What pg asks of a query that is not its own. */
class CopyIn {
  readonly #statement: string
  readonly #data: string
  readonly #result: { resolve(): void; reject(error: unknown): void }
  /** pg looks for it; answers come to the methods below. */
  readonly callback = (error: unknown): void => {
    if (error !== null && error !== undefined) this.#result.reject(error)
  }

  constructor(statement: string, data: string, result: { resolve(): void; reject(error: unknown): void }) {
    this.#statement = statement
    this.#data = data
    this.#result = result
  }

  submit(connection: Connection): void {
    connection.query(this.#statement)
  }

  handleCopyInResponse({ stream }: Connection): void {
    const data = Buffer.from(this.#data, 'utf8')
    const head = Buffer.alloc(5)
    head[0] = COPY_DATA
    // The length counts itself and not the byte before it.
    head.writeInt32BE(data.length + 4, 1)
    stream.cork()
    stream.write(head)
    stream.write(data)
    stream.write(COPY_DONE)
    stream.uncork()
  }

  handleError(error: unknown): void {
    this.#result.reject(error)
  }

  /** The transaction has ended; after an error the promise has been rejected before. */
  handleReadyForQuery(): void {
    this.#result.resolve()
  }

  handleCommandComplete(): void {}
  handleRowDescription(): void {}
  handleDataRow(): void {}
  handleEmptyQuery(): void {}
  handlePortalSuspended(): void {}
  handleCopyData(): void {}
}

/** `d`: a piece of data. */
const COPY_DATA = 0x64

/** `c`: there is no more. */
const COPY_DONE = Buffer.from([0x63, 0, 0, 0, 4])
