import type { Client, Connection } from 'pg'

/** What the server says in an exchange, as far as somebody wants to know. */
export interface Heard {
  /** Columns of the rows that follow, with the object ids of their types. */
  handleRowDescription?(message: {
    readonly fields: readonly { readonly name: string; readonly dataTypeID: number }[]
  }): void
  /** A row: each value in its text form, null for NULL. */
  handleDataRow?(message: { readonly fields: readonly (string | null)[] }): void
  /** The server waits for the data of a COPY. */
  handleCopyInResponse?(connection: Connection): void
}

/**
 * Speaks a part of the protocol that the package pg itself does not know: it gives the answers of the server to whatever it
 * was handed as a query.
 * @param begin sends what begins the exchange, up to a Sync or a simple query
 * @returns resolves when the server is ready for the next
 * @throws what the server answered
 * @see https://www.postgresql.org/docs/current/protocol-flow.html
 */
export function exchange(client: Client, begin: (connection: Connection) => void, heard: Heard): Promise<void> {
  return new Promise((resolve, reject) => {
    client.query(new Exchange(begin, heard, { resolve, reject }))
  })
}

/** What pg asks of a query that is not its own. */
class Exchange {
  readonly #begin: (connection: Connection) => void
  readonly #heard: Heard
  readonly #result: { resolve(): void; reject(error: unknown): void }
  /** pg looks for it; answers come to the methods below. */
  readonly callback = (error: unknown): void => {
    if (error !== null && error !== undefined) this.#result.reject(error)
  }

  constructor(
    begin: (connection: Connection) => void,
    heard: Heard,
    result: { resolve(): void; reject(error: unknown): void },
  ) {
    this.#begin = begin
    this.#heard = heard
    this.#result = result
  }

  submit(connection: Connection): void {
    const { stream } = connection
    // Several messages leave with one write.
    stream.cork()
    this.#begin(connection)
    stream.uncork()
  }

  handleRowDescription(message: Parameters<NonNullable<Heard['handleRowDescription']>>[0]): void {
    this.#heard.handleRowDescription?.(message)
  }

  handleDataRow(message: Parameters<NonNullable<Heard['handleDataRow']>>[0]): void {
    this.#heard.handleDataRow?.(message)
  }

  handleCopyInResponse(connection: Connection): void {
    this.#heard.handleCopyInResponse?.(connection)
  }

  handleError(error: unknown): void {
    this.#result.reject(error)
  }

  /** The transaction has ended; after an error the promise has been rejected before. */
  handleReadyForQuery(): void {
    this.#result.resolve()
  }

  handleCommandComplete(): void {}
  handleEmptyQuery(): void {}
  handlePortalSuspended(): void {}
  handleCopyData(): void {}
}
