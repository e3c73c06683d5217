{{/* The release, as names of Services may begin: without dots, and with room for what follows. */}}
{{- define "flashsale.release" -}}
{{- .Release.Name | replace "." "-" | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{/* The name of everything that belongs to the operator. */}}
{{- define "flashsale.operator" -}}
{{- printf "%s-operator" (include "flashsale.release" .) -}}
{{- end -}}

{{/* The image of the operator, the API pods and the test. */}}
{{- define "flashsale.image" -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}

{{/* The labels by which the operator's pods are found. They never change: a Deployment cannot. */}}
{{- define "flashsale.selector" -}}
app.kubernetes.io/name: flashsale-operator
app.kubernetes.io/instance: {{ include "flashsale.release" . }}
{{- end -}}

{{/* What every object of the chart is labelled with, beside a name. */}}
{{- define "flashsale.common" -}}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: flashsale
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* The labels of everything that belongs to the operator. */}}
{{- define "flashsale.labels" -}}
{{ include "flashsale.selector" . }}
{{ include "flashsale.common" . }}
{{- end -}}

{{/* What no container of the chart may do. */}}
{{- define "flashsale.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Whom the pods of the chart run as: the user of the image. */}}
{{- define "flashsale.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* The namespace of the test's FlashSale: one that the operator looks after. */}}
{{- define "flashsale.testNamespace" -}}
{{- .Values.test.namespace | default .Values.watchNamespace | default .Release.Namespace -}}
{{- end -}}
