# The service and what it needs to run, nothing else. It runs as a plain user, also on a read-only root:
# the one place that it writes to is DATA_DIR (embedded store and file log), a volume.

FROM node:24-bookworm-slim AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --ignore-scripts

FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY tsconfig.json ./
COPY build ./build
COPY src ./src
RUN npm run build

FROM node:24-bookworm-slim
# Out of its container the service must be reached, so it listens on every address. It does that only when somebody has said that
# whoever reaches the port may use it: run with ALLOW_ANONYMOUS=true, and publish the port no further than you mean.
ENV NODE_ENV=production HOST=0.0.0.0 PORT=7420 DATA_DIR=/data
WORKDIR /app
COPY --from=packages /app/node_modules ./node_modules
COPY --from=build /app/dist/src ./dist/src
COPY package.json openapi.yaml LICENSE ./
RUN mkdir /data && chown node:node /data
VOLUME /data
# The user `node`, by number: an orchestrator that demands a non-root user can check it.
USER 1000:1000
EXPOSE 7420
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/livez`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "--enable-source-maps", "dist/src/main.js"]
