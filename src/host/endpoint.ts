// Endpoints of TCP connections.

export type Endpoint = {host: string; port: number};

export function formatEndpoint({host, port}: Endpoint): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
