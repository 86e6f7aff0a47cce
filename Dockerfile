# The lab in a container: the wheel, what it depends on, and nothing else. `docker compose run --rm lab` builds it.
FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
COPY pyproject.toml constraints.txt ./
# The dependencies change seldom, so they are a layer of their own. The secret is a pip.conf, where there is one.
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" > needs.txt \
 && python -m venv /opt/ipclab /opt/build \
 && /opt/build/bin/python -m pip install -q -c constraints.txt hatchling \
 && /opt/ipclab/bin/python -m pip install -q -c constraints.txt -r needs.txt
COPY . .
RUN /opt/build/bin/python -m hatchling build --target wheel --directory /build/dist \
 && /opt/ipclab/bin/python -m pip install -q --no-deps --no-index dist/*.whl \
 && /opt/ipclab/bin/python -m pip uninstall -q --yes pip \
 && find /opt/ipclab/lib -type d -name tests -prune -exec rm -rf {} + \
 && /opt/ipclab/bin/ipclab --version

FROM python:3.13-slim
COPY --from=build /opt/ipclab /opt/ipclab
COPY container/enter /usr/local/bin/ipclab-enter
RUN useradd --system --no-create-home --uid 10001 ipclab && mkdir /lab && chown ipclab: /lab
ENV PATH=/opt/ipclab/bin:$PATH PYTHONUNBUFFERED=1
WORKDIR /lab
USER ipclab
ENTRYPOINT ["ipclab-enter"]
CMD ["demo"]
