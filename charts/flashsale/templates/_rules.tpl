{{/*
What the operator may do where it looks after FlashSales: the rules of a ClusterRole, or of a Role
in the one namespace. Each rule has its reason.
*/}}
{{- define "flashsale.rules" -}}
# Its own kind: it reads what is to be sold, and adds and takes away its finalizer.
- apiGroups: [flashsale.dev]
  resources: [flashsales]
  verbs: [get, list, watch, patch]
# It tells how sales go.
- apiGroups: [flashsale.dev]
  resources: [flashsales/status]
  verbs: [patch]
# What it makes is owned by the FlashSale and holds its deletion up; where the admission plugin
# OwnerReferencesPermissionEnforcement is on, only who may change finalizers may say so.
- apiGroups: [flashsale.dev]
  resources: [flashsales/finalizers]
  verbs: [update]
# It reads the URLs of Redis and Postgres from the Secrets that FlashSales name. Pods are replaced
# when such a Secret changes: for that it watches the metadata of all of them, never their content.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch]
# Catalogues may be in ConfigMaps.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch]
# The address of the API pods, and whom they run as (an account without any rights).
- apiGroups: [""]
  resources: [services, serviceaccounts]
  verbs: [get, list, watch, create, patch, delete]
# The API pods.
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
# Their number under load, where spec.api.autoscaling is set.
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, watch, create, patch, delete]
# How many of them a node drain may take at once.
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
# Who may reach them, and their address from outside where spec.api.ingress is set.
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies, ingresses]
  verbs: [get, list, watch, create, patch, delete]
# Their metrics, where the Prometheus Operator is there.
- apiGroups: [monitoring.coreos.com]
  resources: [servicemonitors]
  verbs: [get, list, watch, create, patch, delete]
# It tells what a person would want to know: opened, sold out, missed. Patch counts a repetition.
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}
