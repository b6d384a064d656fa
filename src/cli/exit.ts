/** Exit codes of every command. No answer in time has the code of wrong usage, as `sluice connect --send` says. */
export const EXIT = { ok: 0, failed: 1, usage: 2, noAnswer: 2 } as const
