import type { PartContext, Shared } from '../contracts/context.ts'

/**
 * One value for each key for as long as it has users. It lives as long as the server: what the dataflows before and after
 * a reload both use stays open.
 */
export function createShare(): PartContext['share'] {
  const entries = new Map<string, { readonly value: { close(): void | Promise<void> }; users: number }>()
  return <T extends { close(): void | Promise<void> }>(key: string, open: () => T): Shared<T> => {
    const entry = entries.get(key) ?? { value: open(), users: 0 }
    entries.set(key, entry)
    entry.users++
    return {
      value: entry.value as T,
      async release() {
        entry.users--
        if (entry.users > 0) return
        entries.delete(key)
        await entry.value.close()
      },
    }
  }
}
