"""Breaks one thing after the other in a copy of deploy/: scripts/check-manifests has to name each."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

source = pathlib.Path(os.environ["ZEF_SOURCE"])

# file, what is replaced, by what, and what has to be said
cases = [
    ("kubernetes/workers.yaml", "podManagementPolicy: Parallel", "podManagementPolicy: OrderedReady", "podManagementPolicy"),
    ("kubernetes/workers.yaml", "terminationGracePeriodSeconds", "terminationGracePeriod", "terminationGracePeriod"),
    ("kubernetes/workers.yaml", "runAsNonRoot: true", "runAsNonRoot: false", "runAsNonRoot"),
    ("kubernetes/workers.yaml", "serviceName: zef-worker", "serviceName: zef-workers", "headless Service zef-workers"),
    ("kubernetes/workers.yaml", "--flushes-per-second=", "--flushes-per-minute=", "has no flag --flushes-per-minute"),
    ("kubernetes/workers.yaml", "            - --tls=/run/zef\n", "", "requires --tls"),
    ("kubernetes/workers.yaml", "$(POD_IP):7002", "$(POD_ADDRESS):7002", "$(POD_ADDRESS) is not set"),
    ("kubernetes/workers.yaml", "$(POD_IP):7002", "$(POD_IP):7003", "listens on [7001, 7003]"),
    ("kubernetes/workers.yaml", "secretName: zef-tls", "secretName: zef-cert", "Secret zef-cert is in no example"),
    ("kubernetes/workers.yaml", "key: flushes-per-second", "key: flushes", "has no key flushes"),
    ("kubernetes/workers.yaml", "{name: run, mountPath: /run/zef, readOnly: true}", "{name: rum, mountPath: /run/zef}",
     "there is no volume rum"),
    ("kubernetes/workers.yaml", "tcpSocket: {port: client}", "tcpSocket: {port: http}", "asks port http"),
    ("kubernetes/workers.yaml", "kind: PodDisruptionBudget", "kind: PodBudget", "a PodBudget is not in the schema"),
    ("kubernetes/workers.yaml", "  podManagementPolicy: Parallel", "  serviceName: other", "stands twice"),
    ("kubernetes/balancers.yaml", "targetPort: client", "targetPort: public", "zef-balancer has no port public"),
    ("kubernetes/balancers.yaml", "  selector:\n    app.kubernetes.io/name: zef-balancer",
     "  selector:\n    app.kubernetes.io/name: zef-front", "selects no pods"),
    ("kubernetes/balancers.yaml", "minAvailable: 1\n  selector:\n    matchLabels:\n      app.kubernetes.io/name: zef-balancer",
     "minAvailable: 1\n  selector:\n    matchLabels:\n      app.kubernetes.io/name: zef-worker", "has no PodDisruptionBudget"),
    ("kubernetes/network-policies.yaml", "              app.kubernetes.io/name: zef-controller",
     "              app.kubernetes.io/name: zef-balancer", "lets others than workers and the controller"),
    ("kubernetes/network-policies.yaml",
     "    - from:\n        - podSelector:\n            matchLabels:\n              app.kubernetes.io/name: zef-worker\n"
     "        - podSelector:\n            matchLabels:\n              app.kubernetes.io/name: zef-controller\n      ports:",
     "    - ports:", "lets everybody to the internal port"),
    ("kubernetes/network-policies.yaml", "podSelector: {}", "podSelector: {matchLabels: {app.kubernetes.io/name: zef-worker}}",
     "none denies everything by default"),
    ("kubernetes/controller.yaml", "resourceNames: [zef-worker]", "resourceNames: [zef-workers]", "no StatefulSet zef-workers"),
    ("kubernetes/controller.yaml", "--stateful-set=zef-worker", "--stateful-set=zef", "may not scale zef"),
    ("kubernetes/controller.yaml", "serviceAccountName: zef-controller", "serviceAccountName: zef", "ServiceAccount zef does"),
    ("kubernetes/kustomization.yaml", "  - balancers.yaml\n", "", "balancers.yaml is not listed"),
    ("kubernetes/config.yaml", "namespace: zef", "namespace: other", "is not in the namespace zef"),
    ("systemd/zef-worker@.service", "--tls=", "--cert=", "has no flag --cert"),
    ("systemd/zef-worker@.service", "Restart=always", "Restarts=always", "Restarts is not known"),
    ("systemd/zef-worker@.service", "Requires=zef-store-init.service", "Requires=zef-store.service", "does not exist"),
    ("systemd/zef-balancer.service", "${ZEF_LISTEN}", "${ZEF_ADDRESS}", "${ZEF_ADDRESS} is not in zef.env"),
]


def check(deploy):
    return subprocess.run([sys.executable, "-B", source / "scripts" / "check-manifests", "--zef", os.environ["ZEF"],
                           "--deploy", deploy], capture_output=True, text=True, check=False)


failed = 0
for file, old, new, said in cases:
    with tempfile.TemporaryDirectory(prefix="zef-test-") as folder:
        deploy = pathlib.Path(folder) / "deploy"
        shutil.copytree(source / "deploy", deploy)
        text = (deploy / file).read_text()
        if old not in text:
            print(f"FAILED {file}: there is no '{old}' to break")
            failed += 1
            continue
        (deploy / file).write_text(text.replace(old, new))
        run = check(deploy)
        if run.returncode != 1 or said not in run.stderr:
            print(f"FAILED {file}: '{new}' was to be told as '{said}', but:\n{run.stdout}{run.stderr}")
            failed += 1
print(f"{len(cases) - failed} of {len(cases)} faults were found")
sys.exit(1 if failed else 0)
