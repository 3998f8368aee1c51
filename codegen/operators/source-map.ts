/** A source map, version 3; its lists are plain arrays, as Vite's types ask. */
export interface SourceMap {
  readonly version: number;
  readonly file: string;
  readonly sources: string[];
  readonly sourcesContent: string[];
  readonly names: string[];
  readonly mappings: string;
}
