# docker build -t sluice .    How to run it: docs/guide/running.md
FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc tsconfig.json tsconfig.build.json ./
RUN npm ci --workspaces=false
COPY src ./src
RUN node_modules/.bin/tsc -p tsconfig.build.json && npm prune --workspaces=false --omit=dev

FROM node:24-slim
ENV NODE_ENV=production
WORKDIR /app
COPY package.json ./
COPY bin ./bin
COPY templates ./templates
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
RUN ln -s /app/bin/sluice.js /usr/local/bin/sluice && install -d -o node -g node -m 0700 /data
# Everything that is kept: the configuration says data: { dir: /data }.
VOLUME /data
USER node
# It asks what admin: 8081 serves.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8081/health/live').then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["node", "/app/bin/sluice.js"]
CMD ["run", "/etc/sluice/sluice.yaml"]
