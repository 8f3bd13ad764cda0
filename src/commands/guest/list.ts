// `ftvm guest list`: the guests that have a name.

import {BaseCommand} from '../../cli/base-command.ts';
import {type GuestSummary, listGuests} from '../../guests/manifest.ts';

export default class GuestList extends BaseCommand {
  static override summary = 'List the guests that can be recorded by name: the built-in ones and those built here.';
  static override examples = ['<%= config.bin %> guest list', '<%= config.bin %> guest list --json'];

  async run(): Promise<{guests: GuestSummary[]}> {
    await this.parse(GuestList);
    const guests = await listGuests();
    const rows = guests.map(({name, sizeBytes, built, description}) => [
      name,
      formatSize(sizeBytes),
      built === undefined ? 'built-in' : built.slice(0, 10),
      description,
    ]);
    for (const line of alignColumns(rows)) this.log(line);
    return {guests};
  }
}

function formatSize(sizeBytes: number): string {
  return sizeBytes < 1e6 ? `${Math.ceil(sizeBytes / 1e3)} kB` : `${(sizeBytes / 1e6).toFixed(1)} MB`;
}

/** Columns as wide as their widest cell; sizes stand to the right. */
function alignColumns(rows: readonly string[][]): string[] {
  const widths = [0, 1, 2, 3].map((column) => Math.max(0, ...rows.map((row) => row[column]!.length)));
  return rows.map((row) =>
    row
      .map((cell, column) => (column === 1 ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
      .join('  ')
      .trimEnd(),
  );
}
