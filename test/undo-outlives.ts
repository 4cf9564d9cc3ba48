/**
 * What an undo needs is there when it runs: where a function has something `using`, or a `finally`, no Undo
 * from outside is spoken of, since its steps run after both (model/undo.ts).
 */

import { basename, resolve } from 'node:path'
import t from 'tap'
import type { Node, SourceFile } from 'typescript/unstable/ast'
import * as is from 'typescript/unstable/ast/is'
import { createVirtualFileSystem } from 'typescript/unstable/fs'
import { API } from 'typescript/unstable/sync'

/** NodeFlags.Using; `await using` has it too. */
const USING = 4

const childrenOf = (node: Node): Node[] => {
  const children: Node[] = []
  node.forEachChild(child => void children.push(child))
  return children
}

const within = (node: Node): Node[] => [node, ...childrenOf(node).flatMap(within)]

const isUndoType = (node: Node | undefined): boolean =>
  node !== undefined &&
  is.isTypeReferenceNode(node) &&
  is.isIdentifier(node.typeName) &&
  node.typeName.text === 'Undo'

const isFunction = (node: Node) =>
  is.isArrowFunction(node) ||
  is.isFunctionExpression(node) ||
  is.isFunctionDeclaration(node) ||
  is.isMethodDeclaration(node)

/** Names by which a function is given an Undo: by type, as what withUndo hands it, or out of an object. */
function undosOf(node: Node): string[] {
  if (!isFunction(node)) return []
  const handed =
    is.isCallExpression(node.parent) &&
    is.isIdentifier(node.parent.expression) &&
    node.parent.expression.text === 'withUndo'
  return node.parameters.flatMap(({ name, type }) => {
    if (!is.isIdentifier(name))
      return within(name).flatMap(each => (is.isIdentifier(each) && each.text === 'undo' ? ['undo'] : []))
    return handed || isUndoType(type) || name.text === 'undo' ? [name.text] : []
  })
}

/** Blocks at whose end something is closed. */
const closes = (node: Node): boolean =>
  (is.isTryStatement(node) && node.finallyBlock !== undefined) ||
  (is.isBlock(node) &&
    node.statements.some(each => is.isVariableStatement(each) && (each.declarationList.flags & USING) !== 0))

/** Where an Undo from outside is spoken of in a block that closes something, as `file:line`. */
function faultsIn(file: SourceFile): string[] {
  const found: string[] = []
  /** @param undos by name, whether something is closed before its steps run */
  const visit = (node: Node, undos: ReadonlyMap<string, boolean>): void => {
    if (is.isIdentifier(node) && undos.get(node.text) === true && !isPropertyName(node)) {
      found.push(`${basename(file.fileName)}:${file.text.slice(0, node.end).split('\n').length}`)
    }
    const inside = new Map(undos)
    if (closes(node)) for (const name of undos.keys()) inside.set(name, true)
    for (const name of undosOf(node)) inside.set(name, false)
    for (const child of childrenOf(node)) visit(child, inside)
  }
  visit(file, new Map())
  return found
}

const isPropertyName = (node: Node): boolean =>
  (is.isPropertyAccessExpression(node.parent) || is.isPropertyAssignment(node.parent)) &&
  node.parent.name === node

/** Faults in the sources of a project. */
function faults(api: API, config: string, isWanted: (file: string) => boolean): string[] {
  const [project] = api.updateSnapshot({ openProjects: [config] }).getProjects()
  const names = project?.program.getSourceFileNames().filter(isWanted) ?? []
  t.ok(names.length > 0)
  return names.flatMap(name => {
    const file = project?.program.getSourceFile(name)
    return file === undefined ? [] : faultsIn(file)
  })
}

t.test('nothing that an undo step may need is closed before it runs', async t => {
  const api = new API({ cwd: process.cwd() })
  t.teardown(() => api.close())
  const src = `${resolve('src')}/`
  t.strictSame(
    faults(api, resolve('tsconfig.json'), name => name.startsWith(src)),
    [],
  )
})

t.test('control: what was closed too early is found, however the Undo came there', async t => {
  const files = {
    '/tsconfig.json': '{ "compilerOptions": { "noLib": true }, "include": ["*.ts"] }',
    '/handed.ts': `withUndo(async undo => {
      using nl = open()
      shape(nl, undo)
    })`,
    '/typed.ts': `function shapeLink(target: string, steps: Undo) {
      using nl = open()
      steps.push('a', () => take(nl))
    }`,
    '/taken-apart.ts': `function build({ nl, undo }: Side) {
      try {
        undo.push('a', () => take(nl))
      } finally {
        nl.close()
      }
    }`,
    '/right.ts': `async function connect(undo: Undo) {
      const made = await make()
      undo.push('a', () => take(made))
    }
    async function make() {
      using nl = open()
      return await withUndo(inner => build({ nl, undo: inner }))
    }
    function owned(undo: Undo) {
      const nl = undo.use(open())
      return shape(nl, undo)
    }`,
  }
  const api = new API({ cwd: '/', fs: createVirtualFileSystem(files) })
  t.teardown(() => api.close())
  t.strictSame(faults(api, '/tsconfig.json', name => name.startsWith('/')).toSorted(), [
    'handed.ts:3',
    'taken-apart.ts:3',
    'typed.ts:3',
  ])
})
