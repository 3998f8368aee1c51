/** The rewrite itself: one visit of the file, operator by operator. */
import type { ts } from "ts-morph";
import { TESTING } from "../../dsl/operators.js";
import { splitTarget } from "./assignment.js";
import { CallBuilder, isSimple } from "./build.js";
import { holdsEffect } from "./effects.js";
import { Scopes } from "./scopes.js";
import { GLOBAL, MATH, NUMBER, type Operators, operatorsOf } from "./table.js";
import { bare, isLiteral, typescript } from "./typescript.js";

const REMARK = " rewritten by lossc ";
/** The remark that every rewritten file holds. */
export const REWRITTEN = `/*${REMARK}*/`;

/** Rewrites a file; `operators` is where it is to import the helpers from. */
export function rewriter(operators: string): ts.TransformerFactory<ts.SourceFile> {
  return (context) => (file) => new FileRewriter(context, file).run(operators);
}

/** A method that asks of its callback's result whether it is true, or which comes first. */
interface GuardedMethod {
  readonly callee: ts.Expression;
  readonly guarded: (callback: ts.Expression, original: ts.Node) => ts.Expression;
}

class FileRewriter {
  private readonly ts = typescript();
  private readonly namespace: string;
  private readonly build: CallBuilder;
  private readonly scopes: Scopes;
  private readonly operators: Operators;

  constructor(
    private readonly context: ts.TransformationContext,
    private readonly file: ts.SourceFile,
  ) {
    let name = "lossc";
    while (file.text.includes(name)) name = name === "lossc" ? "__lossc" : `_${name}`;
    this.namespace = name;
    this.build = new CallBuilder(file, context.factory, name);
    this.scopes = new Scopes(file);
    this.operators = operatorsOf(this.ts);
  }

  run(operators: string): ts.SourceFile {
    const { ts, context, file } = this;
    const { factory } = context;
    const clause = factory.createImportClause(
      undefined,
      undefined,
      factory.createNamespaceImport(factory.createIdentifier(this.namespace)),
    );
    const header = factory.createImportDeclaration(undefined, clause, factory.createStringLiteral(operators));
    ts.addSyntheticLeadingComment(header, ts.SyntaxKind.MultiLineCommentTrivia, REMARK, true);
    // Registers the file, by its name on a stack, as rewritten: `defineLoss` refuses a *.loss.ts that is not.
    const first = file.statements[0] ?? file.endOfFileToken;
    const { line, character } = file.getLineAndCharacterOfPosition(first.getStart(file));
    const place = [line + 1, character + 1].map((x) => factory.createNumericLiteral(x));
    const mark = factory.createExpressionStatement(this.build.call("rewritten", place, first));
    ts.setTextRange(mark, { pos: -1, end: -1 });

    context.startLexicalEnvironment();
    const statements = ts.visitLexicalEnvironment(file.statements, this.visit, context);
    return factory.updateSourceFile(
      file,
      ts.setTextRange(factory.createNodeArray([header, mark, ...statements]), file.statements),
    );
  }

  private readonly visit = (node: ts.Node): ts.Node => {
    const { ts } = this;
    if (ts.isTypeNode(node) && !ts.isExpressionWithTypeArguments(node)) return node;
    // Constants to TypeScript: no expression of the loss ever gets there.
    if (ts.isEnumDeclaration(node) || (ts.isExpression(node) && isLiteral(node))) return node;
    if (ts.isParenthesizedExpression(node)) return this.build.parenthesised(this.children(node));
    if (ts.isBinaryExpression(node)) return this.binary(node);
    if (ts.isPrefixUnaryExpression(node)) return this.unary(node);
    if (ts.isConditionalExpression(node)) return this.conditional(node);
    if (ts.isPropertyAccessExpression(node) || ts.isElementAccessExpression(node))
      return this.member(node) ?? this.children(node);
    if (ts.isCallExpression(node)) return this.called(node);
    return this.statement(node) ?? this.children(node);
  };

  private children<T extends ts.Node>(node: T): T {
    return this.ts.visitEachChild(node, this.visit, this.context);
  }

  private expression(node: ts.Expression): ts.Expression {
    return this.ts.visitNode(node, this.visit, this.ts.isExpression);
  }

  private binary(node: ts.BinaryExpression): ts.Expression {
    const { left, operatorToken, right } = node;
    const name = this.operators.binary.get(operatorToken.kind);
    if (name !== undefined) return this.build.call(name, [this.expression(left), this.expression(right)], node, operatorToken);
    const lazy = this.operators.lazy.get(operatorToken.kind);
    if (lazy !== undefined) {
      if (holdsEffect(right, this.scopes)) {
        const sign = operatorToken.getText(this.file);
        const condition = this.plain(left, sign);
        return this.context.factory.updateBinaryExpression(node, condition, operatorToken, this.expression(right));
      }
      return this.build.call(lazy, [this.expression(left), this.build.later(this.expression(right))], node, operatorToken);
    }
    return this.compound(node) ?? this.lazyCompound(node) ?? this.children(node);
  }

  private compound(node: ts.BinaryExpression): ts.Expression | undefined {
    const { left, operatorToken, right } = node;
    const name = this.operators.compound.get(operatorToken.kind);
    if (name === undefined) return undefined;
    const { first, again } = splitTarget(this.expression(left), this.context);
    const value = this.build.call(name, [again, this.expression(right)], node, operatorToken);
    return this.replaced(this.context.factory.createAssignment(first, value), node);
  }

  private lazyCompound(node: ts.BinaryExpression): ts.Expression | undefined {
    const { factory } = this.context;
    const { left, operatorToken, right } = node;
    const name = this.operators.lazyCompound.get(operatorToken.kind);
    if (name === undefined) return undefined;
    const { first, again } = splitTarget(this.expression(left), this.context);
    // An anonymous function takes its name from the assignment that it stands in.
    if (holdsEffect(right, this.scopes) || this.isAnonymous(right)) {
      const sign = operatorToken.getText(this.file);
      const condition = this.build.call("plain", [first, factory.createStringLiteral(sign)], left);
      const assigned = factory.createParenthesizedExpression(factory.createAssignment(again, this.expression(right)));
      return this.replaced(
        name === "and" ? factory.createLogicalAnd(condition, assigned) : factory.createLogicalOr(condition, assigned),
        node,
      );
    }
    const value = factory.createUniqueName("value");
    const parameter = factory.createParameterDeclaration(undefined, undefined, value);
    const assign = factory.createArrowFunction(
      undefined,
      undefined,
      [parameter],
      undefined,
      undefined,
      factory.createAssignment(again, value),
    );
    return this.build.call(name, [first, this.build.later(this.expression(right)), assign], node, operatorToken);
  }

  private isAnonymous(node: ts.Expression): boolean {
    const { ts } = this;
    const inner = bare(node);
    return (
      ts.isArrowFunction(inner) || ((ts.isFunctionExpression(inner) || ts.isClassExpression(inner)) && inner.name === undefined)
    );
  }

  private unary(node: ts.PrefixUnaryExpression): ts.Expression {
    const name = this.operators.unary.get(node.operator);
    return name === undefined ? this.children(node) : this.build.call(name, [this.expression(node.operand)], node);
  }

  private conditional(node: ts.ConditionalExpression): ts.Expression {
    const { condition, whenTrue, whenFalse, questionToken, colonToken } = node;
    const branches = [whenTrue, whenFalse];
    if (branches.some((branch) => holdsEffect(branch, this.scopes))) {
      const checked = this.plain(condition, "? :");
      const [yes, no] = branches.map((branch) => this.expression(branch)) as [ts.Expression, ts.Expression];
      return this.context.factory.updateConditionalExpression(node, checked, questionToken, yes, colonToken, no);
    }
    const later = branches.map((branch) => this.build.later(this.expression(branch)));
    return this.build.call("where", [this.expression(condition), ...later], node, questionToken);
  }

  /** The condition of a construct that stays native: checked when it runs, for to TypeScript `x > 0` is a boolean like any other. */
  private plain(condition: ts.Expression, construct: string): ts.Expression {
    if (isLiteral(condition)) return condition;
    return this.build.call("plain", [this.expression(condition), this.context.factory.createStringLiteral(construct)], condition);
  }

  private statement(node: ts.Node): ts.Node | undefined {
    const { ts } = this;
    const { factory } = this.context;
    const body = (statement: ts.Statement) => ts.visitIterationBody(statement, this.visit, this.context);
    const branch = (statement: ts.Statement) => ts.visitNode(statement, this.visit, ts.isStatement);
    if (ts.isIfStatement(node)) {
      const otherwise = node.elseStatement && branch(node.elseStatement);
      return factory.updateIfStatement(node, this.plain(node.expression, "if"), branch(node.thenStatement), otherwise);
    }
    if (ts.isWhileStatement(node))
      return factory.updateWhileStatement(node, this.plain(node.expression, "while"), body(node.statement));
    if (ts.isDoStatement(node)) return factory.updateDoStatement(node, body(node.statement), this.plain(node.expression, "do"));
    if (ts.isForStatement(node)) {
      const initializer = ts.visitNode(node.initializer, this.visit, ts.isForInitializer);
      const condition = node.condition && this.plain(node.condition, "for");
      const step = node.incrementor && this.expression(node.incrementor);
      return factory.updateForStatement(node, initializer, condition, step, body(node.statement));
    }
    if (ts.isSwitchStatement(node)) {
      const cases = ts.visitNode(node.caseBlock, this.visit, ts.isCaseBlock);
      return factory.updateSwitchStatement(node, this.plain(node.expression, "switch"), cases);
    }
    if (ts.isCaseClause(node)) {
      return factory.updateCaseClause(
        node,
        this.plain(node.expression, "case"),
        ts.visitNodes(node.statements, this.visit, ts.isStatement),
      );
    }
    return undefined;
  }

  /** `Math.exp` and `Number.isFinite`, where these names are JavaScript's own. */
  private member(node: ts.PropertyAccessExpression | ts.ElementAccessExpression): ts.Expression | undefined {
    const { ts } = this;
    const { expression } = node;
    if (!ts.isIdentifier(expression) || (expression.text !== "Math" && expression.text !== "Number")) return undefined;
    const key = ts.isPropertyAccessExpression(node) ? node.name : bare(node.argumentExpression);
    if (!(ts.isIdentifier(key) && ts.isPropertyAccessExpression(node)) && !ts.isStringLiteralLike(key)) return undefined;
    const name = key.text;
    const helper = expression.text === "Math" ? MATH.has(name) && `math.${name}` : Object.hasOwn(NUMBER, name) && NUMBER[name];
    if (!helper || this.scopes.scopeOf(expression) !== undefined) return undefined;
    return this.replaced(this.build.helper(helper, key), node);
  }

  /** `isFinite(x)`, and functions handed on as in `values.every(isFinite)`. */
  private called(node: ts.CallExpression): ts.Expression {
    const { ts } = this;
    const { factory } = this.context;
    const method = this.testing(node);
    const callee = method?.callee ?? this.global(node.expression) ?? this.expression(node.expression);
    const operands = node.arguments.map((operand, i) => {
      const made = this.global(operand) ?? this.expression(operand);
      return method !== undefined && i === 0 ? method.guarded(made, operand) : made;
    });
    const given = ts.setTextRange(factory.createNodeArray(operands), node.arguments);
    return ts.isCallChain(node)
      ? factory.updateCallChain(node, callee, node.questionDotToken, node.typeArguments, given)
      : factory.updateCallExpression(node, callee, node.typeArguments, given);
  }

  /** The method of `list.filter(callback)`, and its callback under guard: whether it gives an expression is known when it runs. */
  private testing({ expression: access, arguments: [callback] }: ts.CallExpression): GuardedMethod | undefined {
    const { ts } = this;
    const { factory, hoistVariableDeclaration } = this.context;
    if (!ts.isPropertyAccessExpression(access) || !TESTING.has(access.name.text) || callback === undefined) return undefined;
    const { expression: receiver, name } = access;
    if (receiver.kind === ts.SyntaxKind.SuperKeyword || ts.isSpreadElement(callback)) return undefined;
    const from = this.expression(receiver);
    const guard = (known: ts.Expression) => (made: ts.Expression, original: ts.Node) =>
      this.build.call("tested", [known, factory.createStringLiteral(name.text), made], original);
    if (ts.isPropertyAccessChain(access)) {
      // The value of an optional chain before it cannot be kept in a variable: the chain would end there.
      const known = access.questionDotToken !== undefined && isSimple(from);
      const callee = factory.updatePropertyAccessChain(access, from, access.questionDotToken, name);
      return { callee, guarded: guard(known ? from : factory.createVoidZero()) };
    }
    if (isSimple(from)) return { callee: factory.updatePropertyAccessExpression(access, from, name), guarded: guard(from) };
    const kept = factory.createTempVariable(hoistVariableDeclaration);
    const assigned = factory.createParenthesizedExpression(factory.createAssignment(kept, from));
    return { callee: factory.updatePropertyAccessExpression(access, assigned, name), guarded: guard(kept) };
  }

  private global(node: ts.Expression): ts.Expression | undefined {
    if (!this.ts.isIdentifier(node) || !Object.hasOwn(GLOBAL, node.text) || this.scopes.scopeOf(node) !== undefined)
      return undefined;
    return this.build.helper(GLOBAL[node.text] as string, node);
  }

  private replaced<T extends ts.Expression>(made: T, original: ts.Expression): T {
    return this.ts.setTextRange(this.ts.setOriginalNode(made, original), original);
  }
}
