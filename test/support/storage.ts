import type { Database, Storage } from '../../src/contracts/storage.ts'

/**
 * A real storage of which a test does some calls in its own way.
 * @param change gets each database that is opened to be written; what it gives stands before the real methods
 */
export function changed(storage: Storage, change: (database: Database) => Partial<Database>): Storage {
  return {
    openReadOnly: (file) => storage.openReadOnly(file),
    async open(file) {
      const database = await storage.open(file)
      return {
        exec: (sql) => database.exec(sql),
        write: (sql, rows, over) => database.write(sql, rows, over),
        insert: (sql, rows) => database.insert(sql, rows),
        all: (sql, parameters) => database.all(sql, parameters),
        close: () => database.close(),
        ...change(database),
      }
    },
    close: () => storage.close(),
  }
}
