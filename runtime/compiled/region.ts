/** Memory of one call, cut into pieces before it is known where it lies. */
import { MEMORY_ALIGNMENT } from "../addon/constants.js";
import type { Memory } from "../addon/native.js";

/** Where memory lies; null where there is none. */
export type Place = { readonly memory: Memory; readonly offset: number } | null;

export class Piece {
  constructor(
    private readonly region: Region,
    /** In its region. */
    readonly offset: number,
    readonly bytes: number,
  ) {}

  /** Null for an empty piece. */
  get place(): Place {
    const place = this.region.place;
    return place && this.bytes > 0 ? { memory: place.memory, offset: place.offset + this.offset } : null;
  }

  /** Bytes up to the next piece. */
  get padded(): number {
    return Math.ceil(this.bytes / MEMORY_ALIGNMENT) * MEMORY_ALIGNMENT;
  }
}

/** Pieces that lie one after the other. */
export class Region {
  bytes = 0;
  /** Null before {@link Region.put}, and for an empty region. */
  place: Place = null;

  take(bytes: number): Piece {
    const piece = new Piece(this, this.bytes, bytes);
    this.bytes += piece.padded;
    return piece;
  }

  /** Says where the region lies; gives the offset behind it. */
  put(memory: Memory | null, base: number): number {
    this.place = memory && this.bytes > 0 ? { memory, offset: base } : null;
    return base + this.bytes;
  }
}
