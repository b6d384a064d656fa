/** A mistake in a statement: a clause, and what to do. */
export interface SqlProblem {
  readonly message: string
  readonly hint: string
}

/**
 * Looks whether a text is one statement that reads, with a place for each parameter: `?` in SQLite, `$1`, `$2` and so on in
 * PostgreSQL. SQLite itself takes a missing one for NULL, and ignores what stands behind the first statement. Texts, names
 * and comments are passed by.
 */
export function sqlProblem(sql: string, params: number, dialect: keyof typeof DIALECTS): SqlProblem | undefined {
  const { quoted, other, write, count } = DIALECTS[dialect]
  if (/\$\{/.test(sql)) {
    const hint = `write ${write} there, without quotes, and the expression under params`
    return { message: 'nothing is put into the text of a statement', hint }
  }
  const code = sql.replaceAll(quoted, ' ').trim()
  if (!/^(?:select|with|values)\b/i.test(code)) {
    return { message: 'a query begins with SELECT, WITH or VALUES', hint: 'to store something, use a sink' }
  }
  if (/;\s*\S/.test(code)) return { message: 'there is more than one statement', hint: 'write a step for each' }
  const wrong = other.exec(code)?.[0]
  const found = count(code)
  // In PostgreSQL a ? is an operator too.
  if (wrong !== undefined && (dialect === 'sqlite' || found !== params)) {
    return { message: `${wrong} is no place for a parameter here`, hint: `write ${write} for each, in order` }
  }
  if (found === params) return undefined
  const message = `the statement has ${plural(found, 'parameter')}, and params has ${plural(params, 'expression')}`
  const isQuoted = count(sql) === params
  return {
    message,
    hint: isQuoted ? 'take the quotes away that stand around one' : 'write one expression under params for each',
  }
}

const DIALECTS = {
  sqlite: {
    /** Texts, quoted names and comments (sqlite.org/lang_expr.html, lang_keywords.html, lang_comment.html). */
    quoted: /'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|--[^\n]*|\/\*.*?(?:\*\/|$)/gs,
    /** `?NNN`, `:NAME`, `@NAME` and `$NAME` (sqlite.org/lang_expr.html#varparam). */
    other: /\?\d+|(?<![\w$])[:@$]\w+/,
    write: '?',
    count: (code: string) => code.split('?').length - 1,
  },
  postgres: {
    /**
     * Texts, also with escapes or between dollars, quoted names and comments. Comments in comments, which PostgreSQL has,
     * are left to the server (postgresql.org/docs/current/sql-syntax-lexical.html).
     */
    quoted:
      /(?<!\w)e'(?:[^'\\]|''|\\.)*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|(?<![\w$])(\$(?:[a-z_]\w*)?\$).*?\1|--[^\n]*|\/\*.*?(?:\*\/|$)/gis,
    other: /\?|(?<![:\w]):[a-z_]\w*/i,
    write: '$1',
    /** The highest number, as the server counts. */
    count: (code: string) =>
      Math.max(0, ...[...code.matchAll(/(?<![\w$])\$(\d+)/g)].map(([, number]) => Number(number))),
  },
} as const

function plural(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}
