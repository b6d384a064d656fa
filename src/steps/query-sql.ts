/** A mistake in a statement: a clause, and what to do. */
export interface SqlProblem {
  readonly message: string
  readonly hint: string
}

/**
 * Looks whether a text is one statement of SQLite that reads, with a `?` for each parameter: SQLite itself takes a missing
 * one for NULL, and ignores what stands behind the first statement. Texts, names and comments are passed by.
 */
export function sqlProblem(sql: string, params: number): SqlProblem | undefined {
  if (/\$\{/.test(sql)) {
    const hint = 'write ? there, without quotes, and the expression under params'
    return { message: 'nothing is put into the text of a statement', hint }
  }
  const code = sql.replaceAll(QUOTED, ' ').trim()
  if (!/^(?:select|with|values)\b/i.test(code)) {
    return { message: 'a query begins with SELECT, WITH or VALUES', hint: 'to store something, use a sink' }
  }
  if (/;\s*\S/.test(code)) return { message: 'there is more than one statement', hint: 'write a step for each' }
  const other = OTHER_PARAMETER.exec(code)?.[0]
  if (other !== undefined) {
    return { message: `${other} is no place for a parameter here`, hint: 'write ? for each, in order' }
  }
  const found = code.split('?').length - 1
  if (found === params) return undefined
  const message = `the statement has ${plural(found, 'parameter')}, and params has ${plural(params, 'expression')}`
  return { message, hint: 'write one expression under params for each' }
}

/** Texts, quoted names and comments (sqlite.org/lang_expr.html, lang_keywords.html, lang_comment.html). */
const QUOTED = /'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|--[^\n]*|\/\*.*?(?:\*\/|$)/gs

/** `?NNN`, `:NAME`, `@NAME` and `$NAME` (sqlite.org/lang_expr.html#varparam). */
const OTHER_PARAMETER = /\?\d+|(?<![\w$])[:@$]\w+/

function plural(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}
