/** Ops without operands: numbers that come from outside, or that follow from where an element stands. */
import { constant, type Expression, intern } from "../expression.js";
import { isPerEntry, type Space } from "../spaces.js";
import type { LeafOp } from "./names.js";

export interface LeafRow {
  /** See `OpRow.order`. */
  readonly order: number;
  /** The space that every leaf of this op lives in; null where each has its own. */
  readonly space: Space | null;
}

export const LEAVES: { readonly [O in LeafOp]: LeafRow } = {
  constant: { order: 8, space: "batch" },
  config: { order: 7, space: "batch" },
  input: { order: 19, space: null },
  isAt: { order: 21, space: "vocab" },
  index: { order: 55, space: "entry" },
  placeInGroup: { order: 38, space: "sequence" },
};

/** A node without operands. A switch over its op has a case for each and no default: a new op that lacks its case does not compile. */
export type Leaf = Extract<Expression, { readonly op: LeafOp }>;
export const isLeaf = (x: Expression): x is Leaf => Object.hasOwn(LEAVES, x.op);

export const ONE: Expression = constant(1);
export const ZERO: Expression = constant(0);

/** A leaf whose numbers come from outside. */
export type Input = Extract<Expression, { readonly op: "input" }>;

interface InputOptions {
  /** Every element's value where the caller gives none. */
  readonly default?: number | undefined;
  /** Whether the program gives back its adjoint. */
  readonly differentiable?: boolean;
}

export const input = (name: string, space: Space, { default: otherwise, differentiable = false }: InputOptions = {}): Input =>
  intern("input", [], space, "f32", { differentiable, name, default: otherwise ?? null });

/** A runtime scalar. */
export const config = (name: string): Expression => intern("config", [], "batch", "f32", { name });

/** 1 at the entry of the row that the input `index` names, and 0 elsewhere. */
export const isAt = (index: string): Expression => intern("isAt", [], "vocab", "f32", { index });

export type Index = Extract<Expression, { readonly op: "index" }>;
/** The number of an entry within its row, from 0. */
export const indexOfEntry: Index = intern("index", [], "entry", "f32");

/** An entry of a row that is read, or the number of the entry. */
export type RowLeaf = Input | Index;

export const isRowLeaf = (x: Expression): x is RowLeaf => (x.op === "input" || x.op === "index") && isPerEntry(x.space);

/** The number of a sequence within its group, from 0. */
export const placeInGroup: Expression = intern("placeInGroup", [], "sequence", "f32");
