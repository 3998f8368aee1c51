/** The scope that declares a name: enough to distinguish JavaScript's own `Math` from a variable of that name. */
import type { ts } from "ts-morph";
import { typescript } from "./typescript.js";

export class Scopes {
  private readonly declared = new Map<ts.Node, Set<string>>();

  constructor(file: ts.SourceFile) {
    this.collect(file, file, file);
  }

  /** The innermost scope around `use` that declares its name; undefined where none in the file does. */
  scopeOf(use: ts.Identifier): ts.Node | undefined {
    for (let node: ts.Node | undefined = use; node !== undefined; node = node.parent) {
      if (this.declared.get(node)?.has(use.text)) return node;
    }
    return undefined;
  }

  private declare(scope: ts.Node, name: ts.Node | undefined): void {
    const ts = typescript();
    if (name === undefined) return;
    if (ts.isIdentifier(name)) {
      const names = this.declared.get(scope) ?? new Set();
      this.declared.set(scope, names.add(name.text));
    } else if (ts.isObjectBindingPattern(name) || ts.isArrayBindingPattern(name)) {
      for (const element of name.elements) if (ts.isBindingElement(element)) this.declare(scope, element.name);
    }
  }

  /** `hoisted` is where a `var` goes, `block` where everything else does. */
  private collect(node: ts.Node, hoisted: ts.Node, block: ts.Node): void {
    const ts = typescript();
    if (ts.isTypeNode(node)) return;
    if (ts.isVariableDeclaration(node)) {
      const scoped = ts.isCatchClause(node.parent) || (node.parent.flags & ts.NodeFlags.BlockScoped) !== 0;
      this.declare(scoped ? block : hoisted, node.name);
    } else if (ts.isParameter(node)) {
      this.declare(hoisted, node.name);
    } else if (ts.isFunctionExpression(node) || ts.isClassExpression(node)) {
      this.declare(node, node.name);
    } else if (
      ts.isFunctionDeclaration(node) ||
      ts.isClassDeclaration(node) ||
      ts.isEnumDeclaration(node) ||
      ts.isModuleDeclaration(node) ||
      ts.isImportEqualsDeclaration(node) ||
      ts.isNamespaceImport(node) ||
      (ts.isImportClause(node) && node.phaseModifier !== ts.SyntaxKind.TypeKeyword) ||
      (ts.isImportSpecifier(node) && !node.isTypeOnly && node.parent.parent.phaseModifier !== ts.SyntaxKind.TypeKeyword)
    ) {
      this.declare(block, node.name);
    }
    const ownVariables = ts.isFunctionLike(node) || ts.isModuleBlock(node) || ts.isClassStaticBlockDeclaration(node);
    const ownBlock =
      ownVariables ||
      ts.isBlock(node) ||
      ts.isCaseBlock(node) ||
      ts.isCatchClause(node) ||
      ts.isForStatement(node) ||
      ts.isForInStatement(node) ||
      ts.isForOfStatement(node);
    ts.forEachChild(node, (child) => this.collect(child, ownVariables ? node : hoisted, ownBlock ? node : block));
  }
}
