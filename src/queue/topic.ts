/** What a waiting call waits for, as a name. NUL stands in no type and in no listener's name. */

export function eventTopic(id: string): string {
  return `event\0${id}`;
}

export function queueTopic(type: string, listener: string): string {
  return `queue\0${listener}\0${type}`;
}

/** That something of a partition was archived. */
export function archivedTopic(partition: number): string {
  return `archived\0${partition}`;
}
