/** For mistakes of others, such as a listener or a part that cannot be closed: they stop nothing, and are not hidden. */
export function warn(error: unknown): void {
  process.emitWarning(error instanceof Error ? error : String(error))
}
